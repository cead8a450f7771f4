// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/spelling"
)

var (
	_ = events.RegisterWithName(func(events.Helper) error { return nil }, "selection.FirstRule")
	_ = events.RegisterWithName(func(events.Helper) error { return nil }, "selection.SecondRule", events.WithDisabled())
)

func TestSelectActions(t *testing.T) {
	set := &rules.Set{Rules: []*rules.Rule{{Name: "First rule", Enabled: true}, {Name: "Second rule"}, {Name: "Third rule"}}}
	for _, c := range []struct {
		name      string
		cfg       config.Settings
		set       *rules.Set
		want      []string
		uncovered []string
		err       string
	}{
		{name: "default", set: set, want: []string{"selection.FirstRule"}, uncovered: []string{"Third rule"}},
		{name: "with disabled ones", cfg: config.Settings{Disabled: true}, set: set,
			want: []string{"selection.FirstRule", "selection.SecondRule"}, uncovered: []string{"Third rule"}},
		{name: "a disabled one by name", cfg: config.Settings{Actions: []string{"selection.SecondRule"}}, set: set,
			want: []string{"selection.SecondRule"}, uncovered: []string{"Third rule"}},
		{name: "a disabled one by pattern", cfg: config.Settings{Actions: []string{"selection.Second.*"}}, set: set,
			err: "disabled by default"},
		{name: "a pattern", cfg: config.Settings{Actions: []string{"selection.F.*"}}, set: set,
			want: []string{"selection.FirstRule"}, uncovered: []string{"Third rule"}},
		{name: "a misspelt name", cfg: config.Settings{Actions: []string{"selection.FirstRul"}}, set: set, err: "did you mean selection.FirstRule?"},
		{name: "a bad pattern", cfg: config.Settings{Actions: []string{"selection.("}}, set: set, err: "nor a regular expression"},
		{name: "a name without a rule", cfg: config.Settings{Actions: []string{"selection.FirstRule"}}, set: &rules.Set{}, err: "no rule under test"},
		{name: "no rule with an action", set: &rules.Set{Rules: []*rules.Rule{{Name: "Third rule"}}}, err: "nothing would be tested"},
		{name: "no rules files", cfg: config.Settings{Actions: []string{"selection.FirstRule"}}, want: []string{"selection.FirstRule"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			chosen, uncovered, err := selectActions(&c.cfg, c.set)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("got error %v, want one with %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got, without []string
			for _, sel := range chosen {
				got = append(got, sel.Name)
			}
			for _, r := range uncovered {
				without = append(without, r.Name)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("chosen (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.uncovered, without); diff != "" {
				t.Errorf("rules without an action (-want +got):\n%s", diff)
			}
		})
	}
}

// Keys of names are equal where MatchRule matches.
func TestKeys(t *testing.T) {
	names := []string{"Read, /proc files!", "read proc files", "Read-Proc-Files", "Other", "", "!", "Ünder", "nder"}
	for _, a := range names {
		for _, b := range names {
			same := spelling.Key(a) != "" && spelling.Key(a) == spelling.Key(b)
			if same != events.MatchRule("x."+a, b) {
				t.Errorf("%q and %q: %v, and MatchRule says otherwise", a, b, same)
			}
		}
	}
}
