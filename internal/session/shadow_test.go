// SPDX-License-Identifier: Apache-2.0

package session

import (
	"strings"
	"testing"
	"time"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/verdict"
)

// TestShadow finds the rule that takes all events of another.
func TestShadow(t *testing.T) {
	set := &rules.Set{Rules: []*rules.Rule{
		{Name: "off"}, {Name: "general", Enabled: true, Pos: filter.Pos{File: "r.yaml", Line: 7}}, {Name: "mine", Enabled: true}, {Name: "later", Enabled: true},
	}}
	first, second := time.Unix(1, 1), time.Unix(1, 2)
	alerts := func(names ...string) (list []verdict.Attributed) {
		for _, name := range names {
			name, isSecond := strings.CutPrefix(name, "2 ")
			a := &alert.Alert{Rule: name, Source: "syscall", Time: first}
			if isSecond {
				a.Time = second
			}
			list = append(list, verdict.Attributed{Alert: a})
		}
		return list
	}
	for _, tt := range []struct {
		alerts []verdict.Attributed
		want   string
	}{
		{alerts("mine"), ""},
		{alerts("general", "mine"), `"general" (r.yaml:7)`},
		{alerts("mine", "general"), `"general" (r.yaml:7)`},
		{alerts("mine", "later"), ""},
		{alerts("off", "mine"), ""},
		{alerts("2 general", "mine"), ""},
		{alerts("general", "mine", "2 mine"), ""},
		{alerts("general", "mine", "2 general", "2 mine"), `"general" (r.yaml:7)`},
		{alerts("unknown", "mine"), ""},
	} {
		s := &Session{settings: &config.Settings{}, plan: &plan.Plan{Rules: set}}
		got := ""
		if shadow := s.shadowOf(&plan.Action{Rule: set.Rules[2]}, tt.alerts); shadow != nil {
			got = shadow.String()
		}
		if got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
