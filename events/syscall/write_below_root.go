// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(WriteBelowRoot, events.WithDisabled(), events.WithNeeds(events.WriteIn("/root")))

// WriteBelowRoot drops a file in root's home directory.
//
// Rule: open_write of a file below /root (root_dir) by a program that is none of those
// which are known to do that. Needs: to be allowed to. The file is its own and is removed;
// existing files are left alone.
//
// ATT&CK: TA0003, persistence.
func WriteBelowRoot(h events.Helper) error {
	return createBelow(h, "/root")
}
