// SPDX-License-Identifier: Apache-2.0

package rules_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/source/syscall/fields"
)

// A rule may ask for what Falco does not watch: then it stays silent, and passes
// only here.
func TestUnwatchedCalls(t *testing.T) {
	const text = `
- macro: written
  condition: (evt.type in (sendto, write, writev) and fd.num>=0)
- rule: Word Written
  desc: A word is written.
  condition: written and evt.buffer contains word
  output: word written
  priority: NOTICE
- rule: Word Sent
  desc: It asks for what Falco watches.
  condition: evt.type in (openat, sendto, write) and not evt.type in (read, write)
  output: word sent
  priority: NOTICE
`
	set, err := rules.LoadFiles(t.Context(), []rules.File{{Name: "rules.yaml", Data: []byte(text)}}, rules.Options{Sources: []filter.Source{fields.New()}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range set.Remarks {
		got = append(got, p.Short())
	}
	want := []string{`rules.yaml:3:15: rule "Word Written": by default, Falco does not watch write, writev, whatever rules ask for; the rule needs a Falco with -A, or with base_syscalls.all: true in its configuration`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("remarks (-want +got):\n%s", diff)
	}
}
