// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(WriteBelowEtc, events.WithDisabled(), events.WithNeeds(events.WriteIn("/etc")))

// WriteBelowEtc drops a file among the system's configuration.
//
// Rule: open_write of a file below /etc (write_etc_common) by a program that is none of those
// which are known to do that. Needs: to be allowed to. The file is its own and is removed;
// existing files are left alone.
//
// ATT&CK: T1098, account manipulation.
func WriteBelowEtc(h events.Helper) error {
	return createBelow(h, "/etc")
}
