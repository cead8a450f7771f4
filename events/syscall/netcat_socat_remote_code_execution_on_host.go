// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(NetcatSocatRemoteCodeExecutionOnHost, events.WithDisabled())

// NetcatSocatRemoteCodeExecutionOnHost lets netcat connect back and hand over a
// shell.
//
// Rule: spawned_process nc with -e outside of containers: a copy of this
// executable runs as nc and connects to a server of its own on loopback. Needs:
// to be outside of a container. No shell is handed over.
//
// ATT&CK: T1059, command and scripting interpreter.
func NetcatSocatRemoteCodeExecutionOnHost(h events.Helper) error {
	if program(h) == "nc" {
		return talkToLastArgs()
	}
	if err := stayOutOfContainers(h); err != nil {
		return err
	}
	host, port, err := serveLoopback(h, "id\n")
	if err != nil {
		return err
	}
	return h.SpawnAs("nc", "syscall.NetcatSocatRemoteCodeExecutionOnHost", "-e", "/bin/sh", host, port)
}
