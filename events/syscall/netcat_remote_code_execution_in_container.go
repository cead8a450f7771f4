// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(NetcatRemoteCodeExecutionInContainer, events.WithContainer(events.Container{}))

// NetcatRemoteCodeExecutionInContainer lets netcat connect back and hand over a
// shell, from a container.
//
// Rule: spawned_process nc with -e in a container: a copy of this executable
// runs as nc and connects to a server of its own on loopback. Needs: a
// container. No shell is handed over.
//
// ATT&CK: T1059, command and scripting interpreter.
func NetcatRemoteCodeExecutionInContainer(h events.Helper) error {
	if program(h) == "nc" {
		return talkToLastArgs()
	}
	host, port, err := serveLoopback(h, "id\n")
	if err != nil {
		return err
	}
	return h.SpawnAs("nc", "syscall.NetcatRemoteCodeExecutionInContainer", "-e", "/bin/sh", host, port)
}
