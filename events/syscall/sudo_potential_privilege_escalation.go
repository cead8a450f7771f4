// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(SudoPotentialPrivilegeEscalation, events.WithDisabled())

// SudoPotentialPrivilegeEscalation starts sudoedit with arguments that overflow
// a buffer of vulnerable versions: an argument that ends in a backslash
// (CVE-2021-3156).
//
// Rule: spawned_process sudoedit with -s and a backslash before a space and at
// the end, by a user whose login user id is not 0: a copy of this executable runs
// as sudoedit. Needs: not to be below a login of root's. The machine's sudo is
// not started.
//
// ATT&CK: T1548.003, sudo and sudo caching.
func SudoPotentialPrivilegeEscalation(h events.Helper) error {
	if h.Spawned() {
		return nil
	}
	if err := leaveRootLogin(); err != nil {
		return err
	}
	return h.SpawnAs("sudoedit", "syscall.SudoPotentialPrivilegeEscalation", "-s", `AAAA\`, `AAAA\\`)
}
