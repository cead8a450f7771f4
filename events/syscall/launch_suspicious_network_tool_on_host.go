// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(LaunchSuspiciousNetworkToolOnHost, events.WithDisabled())

// LaunchSuspiciousNetworkToolOnHost looks for open ports on this machine.
//
// Rule: spawned_process of one of network_tool_binaries (network_tool_procs)
// outside of containers: a copy of this executable runs as nmap and finds one port, a
// server of its own on loopback. Needs: to be outside of a container. No other port is
// touched.
//
// ATT&CK: T1059, command and scripting interpreter.
func LaunchSuspiciousNetworkToolOnHost(h events.Helper) error {
	if program(h) == "nmap" {
		return talkToLastArgs()
	}
	if err := stayOutOfContainers(h); err != nil {
		return err
	}
	host, port, err := serveLoopback(h, "")
	if err != nil {
		return err
	}
	return h.SpawnAs("nmap", "syscall.LaunchSuspiciousNetworkToolOnHost", "-sT", host, port)
}
