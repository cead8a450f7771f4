// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(InterpretedProcsInboundNetworkActivity, events.WithDisabled(), events.WithNeeds(needAddress))

// InterpretedProcsInboundNetworkActivity accepts a connection in an
// interpreter, as a bind shell of a few lines does.
//
// Rule: inbound (listen and accept) by one of interpreted_procs: a copy of this
// executable runs as python3. Server and client are its own, at an address that
// exists only in a network namespace of its own. Needs: CAP_SYS_ADMIN and
// CAP_NET_ADMIN or, as an ordinary user, an interface with an address. Nothing
// leaves the machine.
//
// ATT&CK: TA0011, command and control.
func InterpretedProcsInboundNetworkActivity(h events.Helper) error {
	if program(h) != "python3" {
		return h.SpawnAs("python3", "syscall.InterpretedProcsInboundNetworkActivity", "-m", "http.server")
	}
	return withForeignAddress(h, func(ip netip.Addr) error { return connectTo(unix.SOCK_STREAM, ip, 0) })
}
