// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(SystemUserInteractive, events.WithNeeds(needSystemUser))

// SystemUserInteractive starts a login program as a system user, who has no
// business to log in.
//
// Rule: spawned_process by one of system_users, interactive because the
// program is login: a copy of this executable takes the ids of an account such
// as daemon and starts another copy as login. Needs: CAP_SETUID and CAP_SETGID,
// to become that user, who must exist in the process's user namespace.
// The program logs nobody in.
//
// ATT&CK: T1059, command and scripting interpreter.
func SystemUserInteractive(h events.Helper) error {
	switch program(h) {
	case "":
		return h.SpawnAs("getty", "syscall.SystemUserInteractive")
	case "getty":
		if err := becomeSystemUser(h); err != nil {
			return err
		}
		return h.SpawnAs("login", "syscall.SystemUserInteractive")
	}
	return nil
}
