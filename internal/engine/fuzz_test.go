// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/event/eventtest"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/source/syscall/fields"
)

// FuzzOutput compiles any text as a rule's output and renders it, for an event
// of which much is known and one of which nothing is.
func FuzzOutput(f *testing.F) {
	seeds, err := filepath.Glob("testdata/outputs/*.txt")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, name := range seeds {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			f.Add(strings.TrimSuffix(line, "\n"))
		}
	}
	src := fields.New()
	events := []*event.Event{eventtest.Shadow(), {Type: event.SysOpenat}, {}}
	f.Fuzz(func(t *testing.T, format string) {
		parts, err := filter.ParseFormat(src, format)
		if err != nil {
			return
		}
		o, err := newOutput(src, &rules.Rule{Output: format, Format: parts}, nil, nil)
		if err != nil {
			t.Fatalf("%q was parsed, but is no output: %v", format, err)
		}
		for _, e := range events {
			var text strings.Builder
			iso8601.prefix(&text, e.Time, alert.Notice)
			o.text(&text, e)
			if _, err := json.Marshal(o.values(e, iso8601.field, e.Time)); err != nil {
				t.Errorf("%q: output fields: %v", format, err)
			}
		}
	})
}

// TestOutput holds the text and the fields of outputs with all that their
// language has.
func TestOutput(t *testing.T) {
	src := fields.New()
	tests := []struct {
		format, text, fields string
	}{
		{"plain", "plain", `{}`},
		{"%proc.name did %evt.type", "cat did openat", `{"evt.type":"openat","proc.name":"cat"}`},
		{"*%proc.name%proc.pid.", "cat200.", `{"proc.name":"cat","proc.pid":200}`},
		{"[%10proc.name][%2proc.name]", "[cat       ][ca]", `{"proc.name":"cat"}`},
		{"%toupper(proc.name) %basename(fd.name)", "CAT shadow", `{"fd.name":"/etc/shadow","proc.name":"cat"}`},
		{"%proc.aname[2] %proc.aname[9] %proc.env[HOME]", "systemd <NA> /root", `{"proc.aname[2]":"systemd","proc.aname[9]":null,"proc.env[HOME]":"/root"}`},
		{"%evt.arg.flags %evt.rawarg.flags %evt.arg[1] %fd.dev", "O_RDONLY 1 AT_FDCWD FE00", `{"evt.arg.flags":"O_RDONLY","evt.arg[1]":"AT_FDCWD","evt.rawarg.flags":"1","fd.dev":"FE00"}`},
		{"%evt.is_open_read %evt.failed", "true false", `{"evt.failed":false,"evt.is_open_read":true}`},
		{"%evt.rawtime.ns %evt.time.iso8601", "906942238 2026-11-22T23:41:52.906942238+0000", `{"evt.rawtime.ns":906942238}`},
		{"%fd.types %proc.aname", "(file,pipe) <NA>", `{"fd.types":["file","pipe"],"proc.aname":null}`},
		{"%proc.fdusage %thread.cpu", "0.3 <NA>", `{"proc.fdusage":0.29296875,"thread.cpu":null}`},
		{"%container.info%proc.name", "cat", `{"proc.name":"cat"}`},
		{"%proc.cwd", "/root/", `{"proc.cwd":"/root/"}`},
	}
	for _, tt := range tests {
		parts, err := filter.ParseFormat(src, tt.format)
		if err != nil {
			t.Errorf("%q: %v", tt.format, err)
			continue
		}
		o, err := newOutput(src, &rules.Rule{Output: tt.format, Format: parts}, nil, nil)
		if err != nil {
			t.Errorf("%q: %v", tt.format, err)
			continue
		}
		var text strings.Builder
		e := eventtest.Shadow()
		o.text(&text, e)
		if text.String() != tt.text {
			t.Errorf("%q: %q, want %q", tt.format, text.String(), tt.text)
		}
		fields := o.values(e, iso8601.field, e.Time)
		delete(fields, iso8601.field)
		if b, err := json.Marshal(fields); err != nil || string(b) != tt.fields {
			t.Errorf("%q: fields %s (%v), want %s", tt.format, b, err, tt.fields)
		}
	}
	for _, bad := range []string{"", "%", "%nofield", "%proc.name %fd.ip", "%tolower(proc.name", "%len(proc.aname)"} {
		if _, err := filter.ParseFormat(src, bad); err == nil {
			t.Errorf("%q is an output, want an error", bad)
		}
	}
}
