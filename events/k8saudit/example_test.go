// SPDX-License-Identifier: Apache-2.0

package k8saudit_test

import (
	"fmt"

	"github.com/falcotest/go-falcotest/events"
	_ "github.com/falcotest/go-falcotest/events/k8saudit"
)

// Importing the package registers its actions, all disabled by default.
func Example() {
	fmt.Println(len(events.ByPackage("k8saudit")), "actions")
	fmt.Println(events.MatchRule("k8saudit.CreatePrivilegedPod", "Create Privileged Pod"))
	// Output:
	// 48 actions
	// true
}
