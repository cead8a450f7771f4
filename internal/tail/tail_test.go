// SPDX-License-Identifier: Apache-2.0

package tail

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestWriter(t *testing.T) {
	var all strings.Builder
	w := Writer{Sink: &all}
	for i := range 5000 {
		fmt.Fprintf(&w, "line %d\n", i)
	}
	if got := w.String(); len(got) != size || !strings.HasSuffix(all.String(), got) {
		t.Errorf("%d bytes are kept, want the last %d", len(got), size)
	}
	if got := w.Lines(2); !slices.Equal(got, []string{"line 4998", "line 4999"}) {
		t.Errorf("the last lines are %q", got)
	}
}
