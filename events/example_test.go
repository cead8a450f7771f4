// SPDX-License-Identifier: Apache-2.0

package events_test

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"time"

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

// RestartWithoutRights is an action with all that may be said of one.
func RestartWithoutRights(h events.Helper) error {
	if err := events.Program("sh").Probe(); err != nil {
		return &events.ErrSkipped{Reason: err.Error()}
	}
	return nil
}

func ExampleRegister() {
	options := events.Options{
		events.WithNeeds(events.Capability("CAP_SYS_ADMIN"), events.WriteIn("/"), events.Need{Name: "luck"}),
		events.WithContainer(events.Container{Privileged: true, Labels: map[string]string{"app": "x"}}),
		events.WithHostMounts("it looks at the machine's own"), events.WithDuration(2 * time.Second),
	}
	each := append([]events.Option{events.WithDisabled()}, options...)
	var action events.Action = RestartWithoutRights
	events.RegisterWithName(action, "example.RestartWithoutRights", each...)

	const name = "example.RestartWithoutRights"
	fmt.Println(events.All()[name] != nil, events.Disabled(name), events.Duration(name), events.HostMounts(name))
	for _, need := range append(events.Needs(name), events.ContainerNeeds(name)...) {
		fmt.Println(need.Name)
	}
	c, ok := events.ContainerOf(name)
	fmt.Println(ok, c.Privileged)
	// Output:
	// true true 2s it looks at the machine's own
	// CAP_SYS_ADMIN
	// to write in /
	// luck
	// a privileged container
	// a container with labels of its own
	// true true
}

func ExampleErrSkipped() {
	var err error = &events.ErrSkipped{Reason: "there is no sh on the PATH"}
	fmt.Println(err.Error())
	// Output: skipped: there is no sh on the PATH
}
