// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(LaunchRemoteFileCopyToolsInContainer, events.WithDisabled(),
	events.WithContainer(events.Container{}))

// LaunchRemoteFileCopyToolsInContainer copies files out of a container.
//
// Rule: spawned_process of one of remote_file_copy_binaries
// (remote_file_copy_procs) in a container: a copy of this executable runs as
// rsync and connects to a server of its own on loopback. Needs: a container. No
// file is sent.
//
// ATT&CK: T1020, automated exfiltration.
func LaunchRemoteFileCopyToolsInContainer(h events.Helper) error {
	if program(h) == "rsync" {
		return talkToLastArgs()
	}
	host, port, err := serveLoopback(h, "@RSYNCD: 31.0\n")
	if err != nil {
		return err
	}
	return h.SpawnAs("rsync", "syscall.LaunchRemoteFileCopyToolsInContainer", "-a", "/data", host, port)
}
