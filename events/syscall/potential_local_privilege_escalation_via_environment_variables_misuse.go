// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"fmt"
	"os"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(PotentialLocalPrivilegeEscalationViaEnvironmentVariablesMisuse, events.WithDisabled())

// PotentialLocalPrivilegeEscalationViaEnvironmentVariablesMisuse starts a
// setuid program with a GLIBC_TUNABLES that overflows the dynamic loader's
// buffer (CVE-2023-4911).
//
// Rule: spawned_process with GLIBC_TUNABLES in its environment
// (glibc_tunables_env): a copy of this executable runs as su, with a value of
// the exploit's form that names no tunable. Needs: nothing. No setuid program is
// started.
//
// ATT&CK: TA0004, privilege escalation.
func PotentialLocalPrivilegeEscalationViaEnvironmentVariablesMisuse(h events.Helper) error {
	if h.Spawned() {
		return nil
	}
	keepEnvironment()
	if err := os.Setenv("GLIBC_TUNABLES", "falcotest.none=falcotest.none=A"); err != nil {
		return fmt.Errorf("setting tunables: %w", err)
	}
	return h.SpawnAs("su", "syscall.PotentialLocalPrivilegeEscalationViaEnvironmentVariablesMisuse", "--help")
}
