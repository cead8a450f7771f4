// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(PacketSocketCreatedInContainer, events.WithContainer(events.Container{}))

// PacketSocketCreatedInContainer opens a socket that sees the packets of a
// container's network, from which ARP can be spoofed (CVE-2020-14386).
//
// Rule: socket with the domain AF_PACKET in a container. Needs: a container.
// The attempt counts, where CAP_NET_RAW is withheld. Nothing is read from the
// socket.
//
// ATT&CK: T1557.002, ARP cache poisoning.
func PacketSocketCreatedInContainer(h events.Helper) error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0) // protocol 0 receives nothing
	if err == nil {
		if err := unix.Close(fd); err != nil {
			return fmt.Errorf("closing a packet socket: %w", err)
		}
	}
	return attempted(h, "opening a packet socket", err, unix.EPERM)
}
