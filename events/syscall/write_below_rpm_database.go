// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(WriteBelowRpmDatabase, events.WithDisabled(), events.WithNeeds(events.WriteIn("/var/lib/rpm")))

// WriteBelowRpmDatabase drops a file into the database of installed packages.
//
// Rule: open_write of a file below /var/lib/rpm by a program that is none of those
// which are known to do that. Needs: to be allowed to. The file is its own and is removed;
// existing files are left alone.
//
// ATT&CK: T1072, software deployment tools.
func WriteBelowRpmDatabase(h events.Helper) error {
	return createBelow(h, "/var/lib/rpm")
}
