// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(LaunchIngressRemoteFileCopyToolsInContainer, events.WithDisabled(),
	events.WithContainer(events.Container{}))

// LaunchIngressRemoteFileCopyToolsInContainer downloads a tool into a
// container.
//
// Rule: spawned_process of one of ingress_remote_file_copy_binaries
// (ingress_remote_file_copy_procs) in a container: a copy of this executable
// runs as wget and reads from a server of its own on loopback. Needs: a
// container. What it downloads is not kept.
//
// ATT&CK: TA0011, command and control.
func LaunchIngressRemoteFileCopyToolsInContainer(h events.Helper) error {
	if program(h) == "wget" {
		return talkToLastArgs()
	}
	host, port, err := serveLoopback(h, "payload\n")
	if err != nil {
		return err
	}
	return h.SpawnAs("wget", "syscall.LaunchIngressRemoteFileCopyToolsInContainer", "-q", host, port)
}
