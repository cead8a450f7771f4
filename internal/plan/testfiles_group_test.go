// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/falcotest/go-falcotest/internal/testfile"
)

// TestGroup has one subtest for each rule, however its tests are strewn.
func TestGroup(t *testing.T) {
	var chosen []*Action
	for _, test := range [][2]string{{"B", "b1"}, {"A", "a1"}, {"B", "b2"}, {"A", "a2"}, {"A", "a1"}, {"B", "b1"}} {
		chosen = append(chosen, Case(&testfile.Test{Rule: test[0], Template: test[1], Name: test[1]}))
	}
	group(chosen)
	var got []string
	for _, sel := range chosen {
		got = append(got, sel.Test.Rule+"/"+sel.Test.Template)
	}
	if diff := cmp.Diff([]string{"B/b1", "B/b1", "B/b2", "A/a1", "A/a1", "A/a2"}, got); diff != "" {
		t.Errorf("the order (-want +got):\n%s", diff)
	}
}
