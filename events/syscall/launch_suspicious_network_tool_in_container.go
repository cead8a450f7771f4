// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(LaunchSuspiciousNetworkToolInContainer, events.WithDisabled(), events.WithContainer(events.Container{}))

// LaunchSuspiciousNetworkToolInContainer looks for open ports in a container.
//
// Rule: spawned_process of one of network_tool_binaries (network_tool_procs)
// in a container: a copy of this executable runs as nmap and finds one port, a
// server of its own on loopback. Needs: a container. No other port is
// touched.
//
// ATT&CK: T1059, command and scripting interpreter.
func LaunchSuspiciousNetworkToolInContainer(h events.Helper) error {
	if program(h) == "nmap" {
		return talkToLastArgs()
	}
	host, port, err := serveLoopback(h, "")
	if err != nil {
		return err
	}
	return h.SpawnAs("nmap", "syscall.LaunchSuspiciousNetworkToolInContainer", "-sT", host, port)
}
