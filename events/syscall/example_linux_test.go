// SPDX-License-Identifier: Apache-2.0

package syscall_test

import (
	"fmt"

	"github.com/falcotest/go-falcotest/events"
)

// Importing the package registers its actions.
func Example() {
	for _, rule := range []string{"Read sensitive file untrusted", "Write below etc"} {
		for name := range events.ByPackage("syscall") {
			if events.MatchRule(name, rule) {
				fmt.Printf("%s: disabled by default: %v\n", name, events.Disabled(name))
			}
		}
	}
	// Output:
	// syscall.ReadSensitiveFileUntrusted: disabled by default: false
	// syscall.WriteBelowEtc: disabled by default: true
}
