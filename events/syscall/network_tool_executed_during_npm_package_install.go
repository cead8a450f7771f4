// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"os"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(NetworkToolExecutedDuringNPMPackageInstall, events.WithDisabled(),
	events.WithContainer(events.Container{}))

// NetworkToolExecutedDuringNPMPackageInstall starts a network tool from the
// install script of a package, in a container.
//
// Rule: spawned_process of one of network_tool_binaries (network_tool_procs) in
// a container below npm: copies of this executable run as npm and, below it, as
// nc, which connects to a server of its own on loopback. Needs: a container.
// Nothing is installed.
//
// ATT&CK: T1195.002, compromise software supply chain.
func NetworkToolExecutedDuringNPMPackageInstall(h events.Helper) error {
	const action = "syscall.NetworkToolExecutedDuringNPMPackageInstall"
	switch program(h) {
	case "npm":
		return h.SpawnAs("nc", action, os.Args[len(os.Args)-2:]...)
	case "nc":
		return talkToLastArgs()
	}
	host, port, err := serveLoopback(h, "")
	if err != nil {
		return err
	}
	return h.SpawnAs("npm", action, "install", host, port)
}
