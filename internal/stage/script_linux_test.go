// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"strings"
	"testing"
)

func TestReachedWith(t *testing.T) {
	for text, want := range map[string]struct{ failed, ended bool }{
		"0.": {}, "1.": {failed: true}, "127.": {failed: true}, "": {ended: true}, "1": {failed: true, ended: true},
	} {
		failed, err := reachedWith(strings.NewReader(text))
		if failed != want.failed || (err != nil) != want.ended {
			t.Errorf("%q: got %v, %v", text, failed, err)
		}
	}
}
