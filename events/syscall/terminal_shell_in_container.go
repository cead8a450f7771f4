// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(TerminalShellInContainer, events.WithContainer(events.Container{}))

// TerminalShellInContainer opens a shell with a terminal in a container, as
// docker exec -it does.
//
// Rule: spawned_process of one of shell_procs in a container, with a
// controlling terminal, below a container's runtime (container_entrypoint):
// copies of this executable run as runc, which takes a pseudo terminal, and
// below it as sh. Needs: a container. The shell does nothing.
//
// ATT&CK: T1059, command and scripting interpreter.
func TerminalShellInContainer(h events.Helper) error {
	switch program(h) {
	case "":
		return h.SpawnAs("runc", "syscall.TerminalShellInContainer")
	case "runc":
		if err := takeTerminal(); err != nil {
			return err
		}
		return h.SpawnAs("sh", "syscall.TerminalShellInContainer")
	}
	return nil
}
