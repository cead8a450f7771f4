// SPDX-License-Identifier: Apache-2.0

package suite_test

import (
	"fmt"

	"github.com/falcotest/go-falcotest/falcotest"
	"github.com/falcotest/go-falcotest/falcotest/suite"
)

type ruleSuite struct{ suite.Suite }

// TestShell is one of the suite's tests.
func (s *ruleSuite) TestShell() {
	alerts := s.Trigger("syscall.RunShellUntrusted")
	s.NotEmpty(alerts)
	s.Detects("syscall.ClearLogActivities")
	s.Session().Silent(s.T(), "syscall.ClearLogActivities", "Run shell untrusted")
}

// A test function hands the suite to suite.Run of testify, which calls SetupSuite:
//
//	func TestRules(t *testing.T) { testify.Run(t, s) }
func ExampleSuite() {
	s := new(ruleSuite)
	s.Options = []falcotest.Option{falcotest.WithRules("rules/*.yaml")}
	setup, test := s.SetupSuite, s.TestShell
	fmt.Println(setup != nil, test != nil)
	// Output: true true
}
