// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(UnexpectedInboundConnectionSource, events.WithDisabled(), events.WithNeeds(needAddress))

// UnexpectedInboundConnectionSource accepts a connection from an address that
// nobody expects.
//
// Rule: inbound (listen and accept) with a client that is none of
// allowed_inbound_source_ipaddrs, networks and domains. Server and client are
// its own, at an address that exists only in a network namespace of its own.
// Needs: CAP_SYS_ADMIN and CAP_NET_ADMIN or, as an ordinary user, an interface
// with an address outside of 10.0.0.0/8. Nothing leaves the machine.
//
// ATT&CK: TA0011, command and control.
func UnexpectedInboundConnectionSource(h events.Helper) error {
	return withForeignAddress(h, func(ip netip.Addr) error { return connectTo(unix.SOCK_STREAM, ip, 0) })
}
