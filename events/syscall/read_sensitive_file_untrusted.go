// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(ReadSensitiveFileUntrusted)

// ReadSensitiveFileUntrusted reads /etc/shadow, as an attacker does who is
// after password hashes; where this user may not, a file of /etc/pam.d, which
// tells how logins are checked.
//
// Rule: open_read and sensitive_files, by a program that is on none of the
// rule's lists. Needs: nothing. It reads one byte and changes nothing.
//
// ATT&CK: T1555, credentials from password stores.
func ReadSensitiveFileUntrusted(h events.Helper) error {
	return readSensitiveFile(h)
}
