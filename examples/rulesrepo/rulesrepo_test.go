// SPDX-License-Identifier: Apache-2.0

// Package rulesrepo_test is all that a repository of Falco rules needs to gate
// its changes: go test runs an action for each of the rules in rules/ and fails
// when one of them does not fire, or is worse than what testdata/falcotest.golden
// holds: gone, disabled, shadowed by another, of a lower priority. The workflows in
// ci/ are to be copied.
package rulesrepo_test

import (
	"testing"

	_ "github.com/falcotest/go-falcotest/events/syscall"
	"github.com/falcotest/go-falcotest/falcotest"
)

func TestMain(m *testing.M) { falcotest.Main(m) }

func TestRules(t *testing.T) {
	falcotest.Run(t,
		falcotest.WithRules("rules/*.yaml"),
		falcotest.WithBaseline("testdata/falcotest.golden"),
		falcotest.WithCoverage(),
		falcotest.WithMutations(),
	)
}
