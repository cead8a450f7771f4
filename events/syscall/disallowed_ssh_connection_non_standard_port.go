// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(DisallowedSSHConnectionNonStandardPort, events.WithNeeds(needNetwork))

// DisallowedSSHConnectionNonStandardPort connects with an SSH client to a
// public address at port 443, as a reverse shell over SSH does that hides among
// web traffic.
//
// Rule: outbound by a program whose name ends in ssh to one of
// ssh_non_standard_ports: a copy of this executable runs as ssh and connects to
// a server of its own at an address that exists only in a network namespace of
// its own. Needs: CAP_SYS_ADMIN and CAP_NET_ADMIN. Nothing leaves the machine.
//
// ATT&CK: T1059, command and scripting interpreter.
func DisallowedSSHConnectionNonStandardPort(h events.Helper) error {
	if program(h) != "ssh" {
		return h.SpawnAs("ssh", "syscall.DisallowedSSHConnectionNonStandardPort", "-p", "443", documentationIP.String())
	}
	return withAddress(h, documentationIP, func() error {
		return connectTo(unix.SOCK_STREAM, documentationIP, 443)
	})
}
