// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"strings"
	"testing"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/event/eventtest"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/source/syscall/fields"
)

func here() *event.Container {
	return &event.Container{ID: "abc", FullID: "abcdef", Own: true, Unknown: event.UnknownEngine, Repository: "falcotest/action", Image: "falcotest/action:latest"}
}

// TestUnknownVerdicts holds what becomes of rules for an event of which something
// is not known, and what is printed of it.
func TestUnknownVerdicts(t *testing.T) {
	set := load(t, `
- rule: hangs on it
  desc: d
  condition: evt.type = openat and container.privileged = true
  output: x
  priority: NOTICE
- rule: hangs on it in a not
  desc: d
  condition: evt.type = openat and not (container.privileged = true or proc.name = dog)
  output: x
  priority: NOTICE
- rule: does not hang on it
  desc: d
  condition: evt.type = openat and proc.name = cat and (container.privileged = true or container.id != host)
  output: privileged=%container.privileged image=%container.image.repository name=%fd.name
  priority: NOTICE
- rule: is false all the same
  desc: d
  condition: evt.type = openat and container.privileged = true and proc.name = dog
  output: x
  priority: NOTICE
- rule: makes an exception
  desc: d
  condition: evt.type = openat and not container.image.repository in (some/image, other/image) and not k8s.ns.name = kube-system
  output: x
  priority: NOTICE
- rule: asks for an image
  desc: d
  condition: evt.type = openat and container.image.repository = some/image
  output: x
  priority: NOTICE
- rule: asks for a namespace
  desc: d
  condition: evt.type = openat and k8s.ns.name = default
  output: x
  priority: NOTICE
`)
	var got strings.Builder
	for _, matching := range []Matching{All, First} {
		how := map[Matching]string{All: "all", First: "first"}[matching]
		ev := newEngine(t, set, Options{Matching: matching}).NewEvaluator()
		var names []string
		for _, r := range set.Rules {
			names = append(names, r.Name)
		}
		if err := ev.Explain(names...); err != nil {
			t.Fatal(err)
		}
		e := eventtest.Shadow()
		e.Thread.Process.Container = here()
		ev.Evaluate(fields.SourceName, e, func(a *alert.Alert) {
			if a.Rule == "does not hang on it" {
				_, text, _ := strings.Cut(a.Output, ": Notice ") // the time is that of a time zone
				fmt.Fprintf(&got, "%s: alert of %q\n  %s\n  %v\n", how, a.Rule, text, a.Fields["container.privileged"])
			}
		})
		for _, name := range names {
			why := ev.Why(name)
			fmt.Fprintf(&got, "%s: %s: %d alerts\n", how, name, why.Alerts)
			if text, passing := why.Unknown(); text != "" {
				fmt.Fprintf(&got, "  unknown (passing %t): %s\n", passing, text)
			}
			if text := why.Assumption(); text != "" {
				fmt.Fprintf(&got, "  assumed: %s\n", text)
			}
			if why.Alerts == 0 {
				fmt.Fprintf(&got, "  %s\n", strings.ReplaceAll(why.String(), "\n", "\n  "))
			}
		}
	}
	golden(t, "testdata/unknown_verdicts.txt", got.String())
}

// TestDoubt asks on what it hangs whether a rule is true, when somebody else does
// not know some fields.
func TestDoubt(t *testing.T) {
	set := load(t, `
- rule: asks for a user
  desc: d
  condition: evt.type = openat and user.name in (daemon, bin) and proc.name = cat
  output: x
  priority: NOTICE
- rule: asks for none
  desc: d
  condition: evt.type = openat and proc.name = dog
  output: x
  priority: NOTICE
`)
	e := newEngine(t, set, Options{})
	hidden := func(field string) *filter.Reason {
		if field == "user.name" {
			return &filter.Reason{Text: "that one does not know it"}
		}
		return nil
	}
	for rule, want := range map[string]string{
		"asks for a user": "`user.name` cannot be known here: that one does not know it",
		"asks for none":   "", "no such rule": "",
	} {
		d, err := e.Doubt(rule, []any{eventtest.Shadow()}, hidden)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if d != nil {
			got = d.String()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", rule, got, want)
		}
	}
}
