// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(InterpretedProcsOutboundNetworkActivity, events.WithDisabled(), events.WithNeeds(needNetwork))

// InterpretedProcsOutboundNetworkActivity connects from an interpreter to a
// public address, as a downloader of a few lines does.
//
// Rule: outbound by one of interpreted_procs: a copy of this executable runs as
// python3. The server is its own, at an address that exists only in a network
// namespace of its own. Needs: CAP_SYS_ADMIN and CAP_NET_ADMIN. Nothing leaves
// the machine.
//
// ATT&CK: TA0011, command and control.
func InterpretedProcsOutboundNetworkActivity(h events.Helper) error {
	if program(h) != "python3" {
		return h.SpawnAs("python3", "syscall.InterpretedProcsOutboundNetworkActivity", "download.py")
	}
	return withAddress(h, documentationIP, func() error {
		return connectTo(unix.SOCK_STREAM, documentationIP, 443)
	})
}
