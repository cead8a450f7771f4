// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"slices"
	"strings"
	"testing"
)

// What a test gives a process replaces what that would inherit, and does not stand
// behind it, where nobody looks.
func TestInherited(t *testing.T) {
	t.Setenv("STAGE_TEST", "old")
	t.Setenv("STAGE_OTHER", "kept")
	t.Setenv("FALCOTEST_STAGE", "900")
	env := inherited("STAGE_TEST=new", "STAGE_MORE=a=b")
	var got []string
	for _, kv := range env {
		if strings.HasPrefix(kv, "STAGE_") || strings.HasPrefix(kv, "FALCOTEST_STAGE") {
			got = append(got, kv)
		}
	}
	slices.Sort(got)
	if want := []string{"STAGE_MORE=a=b", "STAGE_OTHER=kept", "STAGE_TEST=new"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
