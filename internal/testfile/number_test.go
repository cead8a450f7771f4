// SPDX-License-Identifier: Apache-2.0

package testfile

import (
	"testing"

	"github.com/falcotest/go-falcotest/internal/scenario"
)

// TestSyscallNumbers finds the number of every call of the language.
func TestSyscallNumbers(t *testing.T) {
	for _, name := range scenario.SyscallNames() {
		if _, ok := callNumber(scenario.SyscallByName(name), "amd64"); !ok {
			t.Errorf("%s has no number", name)
		}
	}
	for name, arm := range map[string]bool{"open": false, "openat": true, "dup2": false, "prlimit64": true} {
		if _, ok := callNumber(scenario.SyscallByName(name), "arm64"); ok != arm {
			t.Errorf("%s on ARM: %v", name, ok)
		}
	}
}
