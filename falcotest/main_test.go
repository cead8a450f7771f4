// SPDX-License-Identifier: Apache-2.0

package falcotest_test

import (
	"testing"

	_ "github.com/falcotest/go-falcotest/events/syscall"
	"github.com/falcotest/go-falcotest/falcotest"
	"github.com/falcotest/go-falcotest/internal/falco/replaytest"
)

func TestMain(m *testing.M) {
	replaytest.Main() // or a script's stand-in for a Falco that replays
	falcotest.Main(m)
}
