// SPDX-License-Identifier: Apache-2.0

package falcotest_test

import (
	"fmt"
	"testing"

	"github.com/falcotest/go-falcotest/falcotest"
)

// This is the whole test of a rules repository. Its TestMain calls Main:
//
//	func TestMain(m *testing.M) { falcotest.Main(m) }
func ExampleRun() {
	TestRules := func(t *testing.T) {
		falcotest.Run(t, falcotest.WithRules("rules/*.yaml"))
	}
	_ = TestRules
	// Output:
}

// A session gives the alerts of an action to assertions of one's own.
func ExampleSession_Trigger() {
	TestShell := func(t *testing.T) {
		s := falcotest.Start(t, falcotest.WithRules("rules/*.yaml"))
		for _, a := range s.Trigger(t, "syscall.RunShellUntrusted") {
			if name, ok := a.Field("proc.name"); !ok || name != "sh" {
				t.Errorf("%s: the shell is %q", a.Rule, name)
			}
		}
	}
	_ = TestShell
	// Output:
}

// A skeleton for an action of one's own, with the rule and the test for it, is
// in examples/custom.
func ExampleWithActions() {
	TestCredentials := func(t *testing.T) {
		falcotest.Run(t,
			falcotest.WithRules("rules/*.yaml"),
			falcotest.WithActions(`syscall\.Read.*`, "syscall.FindAwsCredentials"),
		)
	}
	_ = TestCredentials
	// Output:
}

// The tests of files, in the language of event-generator's suite: here all of a
// folder. Without a glob, those beside the rules.
func ExampleRunFiles() {
	TestSuite := func(t *testing.T) {
		falcotest.RunFiles(t, "suite/*.yaml")
	}
	_ = TestSuite
	// Output:
}

// An alert must be just as the rule's authors promise it.
func ExampleExpect() {
	TestAlert := func(t *testing.T) {
		s := falcotest.Start(t, falcotest.WithRules("rules/*.yaml"))
		falcotest.Expect("Run shell untrusted").
			Priority("Notice").
			Field("proc.name", falcotest.OneOf("sh", "bash")).
			Tag("shell").
			Check(t, s.Trigger(t, "syscall.RunShellUntrusted"))
		s.Silent(t, "syscall.RunShellUntrusted", "Read sensitive file untrusted")
	}
	_ = TestAlert
	// Output:
}

func ExampleOutcome() {
	for o := falcotest.Detected; o <= falcotest.Inconclusive; o++ {
		fmt.Println(o)
	}
	// Output:
	// detected
	// missed
	// silent
	// unexpected
	// skipped
	// trigger failed
	// inconclusive
}

func ExamplePosition() {
	fmt.Println(falcotest.Position{File: "rules/rules.yaml", Line: 12})
	// Output: rules/rules.yaml:12
}
