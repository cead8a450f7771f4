// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"strings"
	"testing"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/event/eventtest"
	"github.com/falcotest/go-falcotest/internal/source/syscall/fields"
)

// TestWhy holds the texts for each way in which a rule does not alert.
func TestWhy(t *testing.T) {
	set := load(t, twoRules+`
- macro: trusted
  condition: proc.name in (vim, cat)
- rule: near
  desc: d
  condition: >
    evt.type = openat and fd.name startswith /etc/passwd
    and not trusted
  output: x
  priority: NOTICE
- rule: excluded
  desc: d
  condition: evt.type = openat and fd.name startswith /etc/shadow and not trusted
  output: x
  priority: NOTICE
`)
	critical := alert.Notice
	var got strings.Builder
	for _, c := range []struct {
		name string
		opts Options
	}{{"first", Options{MinPriority: &critical}}, {"all", Options{Matching: All}}} {
		e := newEngine(t, set, c.opts)
		ev := e.NewEvaluator()
		rules := []string{"general", "special", "disabled", "unsupported", "exec", "near", "excluded", "missing"}
		if err := ev.Explain(rules...); err != nil {
			t.Fatal(err)
		}
		ev.Evaluate(fields.SourceName, &event.Event{Type: event.SysGetpid, Time: eventtest.Time}, func(*alert.Alert) {})
		ev.Evaluate(fields.SourceName, eventtest.Shadow(), func(*alert.Alert) {})
		for _, r := range rules {
			got.WriteString("--- " + c.name + ", " + r + "\n" + ev.Why(r).String() + "\n")
		}
	}
	golden(t, "testdata/why.txt", got.String())
}
