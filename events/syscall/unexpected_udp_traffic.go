// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(UnexpectedUDPTraffic, events.WithDisabled(), events.WithNeeds(needAddress))

// UnexpectedUDPTraffic connects a UDP socket to a port that no usual service
// has, as a tunnel does.
//
// Rule: inbound_outbound with fd.l4proto udp and a port that is not one of
// expected_udp_traffic. The address exists only in a network namespace of its
// own. Needs: CAP_SYS_ADMIN and CAP_NET_ADMIN or, as an ordinary user, an
// interface with an address. No packet is sent.
//
// ATT&CK: TA0011, command and control.
func UnexpectedUDPTraffic(h events.Helper) error {
	return withForeignAddress(h, func(ip netip.Addr) error { return connectTo(unix.SOCK_DGRAM, ip, 0) })
}
