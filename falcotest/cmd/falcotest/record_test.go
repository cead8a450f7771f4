// SPDX-License-Identifier: Apache-2.0

package main

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/falcotest/go-falcotest/internal/capture"
	"github.com/falcotest/go-falcotest/internal/trace"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && hiddenVerbs[os.Args[1]] != nil { // as the command starts itself
		os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// needTracing skips where nothing can be recorded.
func needTracing(t *testing.T) {
	t.Helper()
	if err := trace.Supported(); err != nil {
		t.Skip(err)
	}
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip(err)
	}
}

// events are the types of a recording's events with their arguments.
func eventsOf(t *testing.T, name string) (lines []string) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := capture.NewPlayer(f)
	if err != nil {
		t.Fatal(err)
	}
	for {
		e, err := p.Next()
		if errors.Is(err, io.EOF) {
			return lines
		}
		if err != nil {
			t.Fatal(err)
		}
		who := ""
		if e.Thread != nil {
			who = e.Thread.Process.Cmdline()
		}
		lines = append(lines, e.Type.String()+" "+e.Args()+" by "+who)
	}
}

func unpacked(t *testing.T, name string) string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A command is recorded with all that it starts, ends as it would have, and gives no
// secret of its environment away.
func TestRecord(t *testing.T) {
	needTracing(t)
	dir := t.TempDir()
	read := filepath.Join(dir, "read-me")
	if err := os.WriteFile(read, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("API_TOKEN", "secret-value")
	for _, test := range []struct {
		name   string
		args   []string
		script string
		code   int
		secret bool
	}{
		{"exit status", nil, "cat " + read + " >&2; exit 3", 3, false},
		{"signal", nil, "cat " + read + " >&2; kill -TERM $$", 128 + 15, false},
		{"kept variable", []string{"-env", "OTHER, API_TOKEN"}, "cat " + read + " >&2", 0, true},
		{"all variables", []string{"-env", "*"}, "cat " + read + " >&2", 0, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "it.scap")
			var problems strings.Builder
			args := append([]string{"record", "-o", name}, test.args...)
			if code := run(t.Context(), append(args, "--", "sh", "-c", test.script), io.Discard, &problems); code != test.code {
				t.Fatalf("exit status %d, want %d: %s", code, test.code, problems.String())
			}
			if !strings.Contains(problems.String(), " events in "+name) {
				t.Errorf("it says %q", problems.String())
			}
			lines := eventsOf(t, name)
			for _, want := range [][2]string{{"execve ", "by sh -c"}, {"openat ", read}, {"procexit ", "by sh -c"}} {
				if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, want[0]) && strings.Contains(l, want[1]) }) {
					t.Errorf("no %s… %s in\n%s", want[0], want[1], strings.Join(lines, "\n"))
				}
			}
			raw := unpacked(t, name)
			if strings.Contains(raw, "secret-value") != test.secret || !strings.Contains(raw, "API_TOKEN=") {
				t.Errorf("the value of API_TOKEN is in the recording: %v, want %v", !test.secret, test.secret)
			}
		})
	}
}

// What cannot be recorded leaves no file behind.
func TestRecordFails(t *testing.T) {
	needTracing(t)
	name := filepath.Join(t.TempDir(), "it.scap")
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{nil, 2, "no command was given: falcotest record -- COMMAND…"},
		{[]string{"-nonsense"}, 2, "flag provided but not defined"},
		{[]string{"-o", filepath.Join(name, "below", "it.scap"), "--", "sh"}, 125, "it.scap"},
		{[]string{"-o", name, "--", "no-such-command-anywhere"}, 125, "executable file not found"},
	} {
		var problems strings.Builder
		if code := run(t.Context(), append([]string{"record"}, test.args...), io.Discard, &problems); code != test.code || !strings.Contains(problems.String(), test.want) {
			t.Errorf("record %q: %d and %q, want %d and %q", test.args, code, problems.String(), test.code, test.want)
		}
	}
	if _, err := os.Stat(name); err == nil {
		t.Error("a file was left")
	}
}
