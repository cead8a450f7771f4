// SPDX-License-Identifier: Apache-2.0

package events_test

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"

	"github.com/falcotest/go-falcotest/events"
)

// WriteBelowExample writes a file below /example.
func WriteBelowExample(h events.Helper) error {
	path := "/example/file"
	h.Cleanup(func() { os.Remove(path) }, "remove", path)
	return os.WriteFile(path, nil, 0o600)
}

var _ = events.Register(WriteBelowExample, events.WithDisabled(), events.WithNeeds(events.Root))

// WriteElsewhere writes a file where the rule does not look.
func WriteElsewhere(events.Helper) error { return nil }

var _ = events.Register(WriteElsewhere, events.NearMiss("events_test.WriteBelowExample", "the folder is another"))

// A near miss runs with the action that it is one of, and must not be detected.
func ExampleNearMiss() {
	for _, name := range events.NearMisses("events_test.WriteBelowExample") {
		_, excuse := events.NearMissOf(name)
		fmt.Println(name, "-", excuse)
	}
	// Output: events_test.WriteElsewhere - the folder is another
}

func Example() {
	for name := range events.ByRegexp(regexp.MustCompile("Example$")) {
		fmt.Println(name, events.Disabled(name), events.Needs(name)[0].Name)
	}
	// Output: events_test.WriteBelowExample true root
}

func ExampleMatchRule() {
	fmt.Println(events.MatchRule("syscall.WriteBelowEtc", "Write below etc"))
	fmt.Println(events.MatchRule("syscall.WriteBelowEtc", "Write below root"))
	// Output:
	// true
	// false
}

func ExampleRegisterWithName() {
	events.RegisterWithName(func(events.Helper) error { return nil }, "example.Anything")
	fmt.Println(slices.Collect(maps.Keys(events.ByPackage("example"))))
	// Output: [example.Anything]
}
