// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(RedirectSTDOUTSTDINToNetworkConnectionInContainer, events.WithContainer(events.Container{}))

// RedirectSTDOUTSTDINToNetworkConnectionInContainer connects back and puts the
// connection in the place of its standard streams, as a reverse shell does
// before it starts the shell.
//
// Rule: dup to the descriptors 0 and 1 of a connection (fd.type ipv4) in a
// container. A copy of this executable does it, connected to a server of its
// own on loopback. Needs: a container. No shell is started.
//
// ATT&CK: T1059, command and scripting interpreter.
func RedirectSTDOUTSTDINToNetworkConnectionInContainer(h events.Helper) error {
	if !h.Spawned() {
		return h.SpawnAs("backdoor", "syscall.RedirectSTDOUTSTDINToNetworkConnectionInContainer")
	}
	c, err := connect(unix.SOCK_STREAM, netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		return err
	}
	defer c.Close()
	for fd := range 2 { // the error stream stays, for this process's own messages
		if err := unix.Dup3(c.client, fd, 0); err != nil {
			return fmt.Errorf("redirecting the descriptor %d: %w", fd, err)
		}
	}
	return nil
}
