// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(DetectOutboundConnectionsToCommonMinerPoolPorts, events.WithDisabled(), events.WithNeeds(needNetwork, events.OwnNames))

// DetectOutboundConnectionsToCommonMinerPoolPorts connects to what is known as
// a pool of crypto miners, at a port of such pools.
//
// Rule: net_miner_pool: connect to one of miner_ports at an address that one of
// miner_domains has. The server is its own, at an address that exists only in a
// network namespace of its own; the name stands in an /etc/hosts that only the
// connecting thread has. Needs: CAP_SYS_ADMIN and CAP_NET_ADMIN, and a judge
// that resolves the name by the thread's /etc/hosts. No name is looked up and
// nothing leaves the machine.
//
// ATT&CK: T1496, resource hijacking.
func DetectOutboundConnectionsToCommonMinerPoolPorts(h events.Helper) error {
	return onOwnThread(func() error {
		if err := enterHosts(h, documentationIP.String(), "pool.minexmr.com"); err != nil {
			return err
		}
		if err := enterNetwork(h, documentationIP); err != nil {
			return err
		}
		return connectTo(unix.SOCK_STREAM, documentationIP, 3333)
	})
}
