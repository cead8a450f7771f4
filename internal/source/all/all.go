// SPDX-License-Identifier: Apache-2.0

// Package all is the list of the sources of events that there are: import it for
// that. A new one gets a folder of its own, and a line here.
package all

import (
	_ "github.com/falcotest/go-falcotest/internal/source/k8saudit" // Kubernetes audit events
	_ "github.com/falcotest/go-falcotest/internal/source/syscall"  // system calls
)
