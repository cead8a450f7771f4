// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(RunShellUntrusted)

// RunShellUntrusted starts a shell from a web server, as a command injection
// does.
//
// Rule: spawned_process and shell_procs below one of protected_shell_spawner:
// copies of this executable run as httpd and, below it, as sh. Needs: nothing.
// The shell does nothing.
//
// ATT&CK: T1059.004, Unix shell.
func RunShellUntrusted(h events.Helper) error {
	switch program(h) {
	case "":
		return h.SpawnAs("httpd", "syscall.RunShellUntrusted")
	case "httpd":
		return h.SpawnAs("sh", "syscall.RunShellUntrusted", "-c", "id")
	}
	return nil
}
