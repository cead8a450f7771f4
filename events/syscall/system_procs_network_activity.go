// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(SystemProcsNetworkActivity, events.WithDisabled(), events.WithNeeds(needAddress))

// SystemProcsNetworkActivity listens, connects and accepts as a program that
// has no business on the network.
//
// Rule: inbound_outbound by one of system_procs: a copy of this executable runs
// as sha1sum. Its server and client use an address that exists only in a
// network namespace of its own. Needs: CAP_SYS_ADMIN and CAP_NET_ADMIN or, as
// an ordinary user, an interface with an address. Nothing leaves the machine.
//
// ATT&CK: T1059, command and scripting interpreter.
func SystemProcsNetworkActivity(h events.Helper) error {
	if program(h) != "sha1sum" {
		return h.SpawnAs("sha1sum", "syscall.SystemProcsNetworkActivity")
	}
	return withForeignAddress(h, func(ip netip.Addr) error { return connectTo(unix.SOCK_STREAM, ip, 0) })
}
