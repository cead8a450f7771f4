// SPDX-License-Identifier: Apache-2.0

package session

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/event"
)

// TestFalcoUnknown holds what alerts show that the Falco which sent them does not
// know, and the rules that hang on it.
func TestFalcoUnknown(t *testing.T) {
	alerts := func(fields map[string]any) []*alert.Alert { return []*alert.Alert{{Rule: "r", Fields: fields}} }
	inContainer := []any{&event.Event{Thread: &event.Thread{Process: &event.Process{Container: &event.Container{ID: "fromcgroup"}}}}}
	onHost := []any{&event.Event{Thread: &event.Thread{Process: &event.Process{}}}}
	for _, tt := range []struct {
		name           string
		theirs, ours   []*alert.Alert
		events         []any
		container      string
		unknown, known []string
	}{
		{"it takes the host for one", alerts(map[string]any{"container.id": "host", "user.name": "root"}), nil, inContainer,
			"", nil, []string{"user.name", "container.id"}},
		{"an alert says which container it takes it for", alerts(map[string]any{"container.id": "abc", "user.name": nil}), nil, onHost,
			"abc", []string{"user.name", "group.name", "container.id", "container.privileged", "k8s.ns.name"}, []string{"proc.name", "fd.name", "user.uid"}},
		{"no alert says so, but the control group does", nil, nil, inContainer,
			"fromcgroup", []string{"user.name"}, []string{"proc.name"}},
		{"no sign", nil, nil, onHost, "", nil, []string{"user.name"}},
		{"what it does not print, and the built-in engine does", alerts(map[string]any{"proc.exepath": "<NA>", "proc.cwd": nil, "fd.name": nil, "proc.name": "sh"}),
			alerts(map[string]any{"proc.exepath": "/bin/sh", "proc.cwd": nil, "fd.name": "/x", "proc.name": "sh"}), onHost,
			"", []string{"proc.exepath"}, []string{"proc.cwd", "fd.name", "proc.name"}},
		{"what neither knows", alerts(map[string]any{"proc.exepath": nil}), alerts(map[string]any{"proc.exepath": event.UnknownText}), onHost,
			"", nil, []string{"proc.exepath"}},
		{"alerts of different rules", alerts(map[string]any{"proc.exepath": nil}), []*alert.Alert{{Rule: "other", Fields: map[string]any{"proc.exepath": "/bin/sh"}}}, onHost,
			"", nil, []string{"proc.exepath"}},
	} {
		u := falcoUnknown{alerts: tt.theirs, container: mistakenFor(tt.theirs, tt.events)}
		u.compare(tt.ours)
		if d := cmp.Diff(tt.container, u.container); d != "" {
			t.Errorf("%s: container (-want +got):\n%s", tt.name, d)
		}
		for _, field := range tt.unknown {
			if r := u.reason(field); r == nil || !strings.Contains(r.Text, "this Falco") {
				t.Errorf("%s: %s is known: %+v", tt.name, field, r)
			}
		}
		for _, field := range tt.known {
			if r := u.reason(field); r != nil {
				t.Errorf("%s: %s is not known: %s", tt.name, field, r.Text)
			}
		}
	}
}
