// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/filter/filtertest"
)

// described is what `falco -L -o json_output=true` says of rules.
type described struct {
	Rules []struct {
		Name, Priority, Source, Condition, Output string
		Enabled                                   bool
		Tags, Events, Macros, Lists               []string
		ConditionCompiled                         string   `json:"condition_compiled"`
		ConditionFields                           []string `json:"condition_fields"`
		ConditionOperators                        []string `json:"condition_operators"`
		OutputCompiled                            string   `json:"output_compiled"`
		OutputFields                              []string `json:"output_fields"`
		ExceptionNames                            []string `json:"exception_names"`
	}
	Macros []struct {
		Name              string
		ConditionCompiled string `json:"condition_compiled"`
	}
	Lists []struct {
		Name          string
		ItemsCompiled []string `json:"items_compiled"`
	}
}

func readOracle(t *testing.T, name string) (d described) {
	t.Helper()
	data, err := os.ReadFile(filtertest.Data(t, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// containerFields is what the container plugin adds to outputs of the syscall
// source.
const containerFields = "container_id=%container.id container_name=%container.name container_image_repository=%container.image.repository container_image_tag=%container.image.tag k8s_pod_name=%k8s.pod.name k8s_ns_name=%k8s.ns.name"

// TestOracle compares what we make of the upstream rules with what Falco 0.43.1
// says of them.
func TestOracle(t *testing.T) {
	for _, tt := range []struct {
		oracle string
		files  func(testing.TB) []string
		source func(testing.TB) filter.Source
		rules  int
		extra  []string
	}{
		{"oracle/describe-upstream-rules.json", upstream, func(t testing.TB) filter.Source { return filtertest.Syscalls(t) }, 93, []string{containerFields}},
		{"oracle/describe-k8s_audit-rules.json", func(t testing.TB) []string { return []string{filtertest.Data(t, "rules/k8s_audit_rules.yaml")} }, func(t testing.TB) filter.Source { return filtertest.Table(t, "k8s_audit", "fields-k8s_audit.md") }, 48, nil},
	} {
		t.Run(tt.oracle, func(t *testing.T) {
			want := readOracle(t, tt.oracle)
			src := tt.source(t)
			set, err := Load(context.Background(), tt.files(t), Options{Sources: []filter.Source{src}})
			if err != nil {
				t.Fatalf("%+v", err)
			}
			if len(set.Rules) != tt.rules || len(want.Rules) != tt.rules {
				t.Fatalf("got %d rules, oracle has %d, want %d", len(set.Rules), len(want.Rules), tt.rules)
			}
			for _, w := range want.Rules {
				r := set.Rule(w.Name)
				if r == nil {
					t.Errorf("%s: not loaded", w.Name)
					continue
				}
				diff := func(what string, got, want any) {
					t.Helper()
					if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
						t.Errorf("%s: %s differs from Falco's (-want +got):\n%s", w.Name, what, d)
					}
				}
				diff("priority", r.Priority.String(), w.Priority)
				diff("source", r.Source, w.Source)
				diff("enabled", r.Enabled, w.Enabled)
				diff("tags", r.Tags, w.Tags)
				diff("condition", r.Condition, w.Condition)
				diff("output", r.Output, w.Output)
				diff("compiled output", r.CompiledOutput(tt.extra...), w.OutputCompiled)
				diff("fields", r.Fields, w.ConditionFields)
				diff("operators", r.Operators, w.ConditionOperators)
				diff("macros", r.Macros, w.Macros)
				diff("lists", r.Lists, w.Lists)
				// Equal texts mean equal trees: Falco prints parentheses around
				// each and, or.
				diff("compiled condition", r.Expr.String(), w.ConditionCompiled)

				s, typed := src.(filter.EventTyper)
				if !typed {
					continue
				}
				// Falco listens to asyncevent for every rule.
				events := append(r.EventTypes.Names(s.EventTypes()), "asyncevent")
				slices.Sort(events)
				slices.Sort(w.Events)
				diff("events", slices.Compact(events), w.Events)
			}
			for _, w := range want.Macros {
				i := slices.IndexFunc(set.Macros, func(m *Macro) bool { return m.Name == w.Name })
				if i < 0 {
					t.Errorf("macro %s: not loaded", w.Name)
				} else if got := set.Macros[i].Expr.String(); got != w.ConditionCompiled {
					t.Errorf("macro %s:\n got %s\nwant %s", w.Name, got, w.ConditionCompiled)
				}
			}
			for _, w := range want.Lists {
				i := slices.IndexFunc(set.Lists, func(l *List) bool { return l.Name == w.Name })
				if i < 0 {
					t.Errorf("list %s: not loaded", w.Name)
				} else if d := cmp.Diff(w.ItemsCompiled, set.Lists[i].Items, cmpopts.EquateEmpty()); d != "" {
					t.Errorf("list %s (-want +got):\n%s", w.Name, d)
				}
			}
		})
	}
}

func upstream(t testing.TB) []string {
	return []string{
		filtertest.Data(t, "rules/falco_rules.yaml"),
		filtertest.Data(t, "rules/falco-incubating_rules.yaml"),
		filtertest.Data(t, "rules/falco-sandbox_rules.yaml"),
	}
}
