// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

// Tests that name one path run one after another, and others beside them.
func TestPathsApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p paths
		first, err := p.enter(t.Context(), []string{"etc/a", "tmp/b"})
		if err != nil {
			t.Fatal(err)
		}
		other, err := p.enter(t.Context(), []string{"etc/c"})
		if err != nil {
			t.Fatal(err)
		}
		entered := false
		go func() {
			leave, err := p.enter(t.Context(), []string{"tmp/b", "etc/d"})
			if err != nil {
				t.Error(err)
				return
			}
			entered = true
			leave()
		}()
		synctest.Wait()
		other()
		synctest.Wait()
		if entered {
			t.Error("a test entered while another had its path")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := p.enter(ctx, []string{"etc/a"}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want that it was cancelled", err)
		}
		first()
		synctest.Wait()
		if !entered {
			t.Error("a test did not enter when its path was free")
		}
	})
}
