// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(WebServerSpawnedShell, events.WithDisabled())

// WebServerSpawnedShell starts a shell from a web server, as a web shell does.
//
// Rule: spawned_process of one of shell_binaries below one of web_server_binaries
// (spawned_by_web_server): copies of this executable run as php-fpm and, below
// it, as sh. Needs: nothing. The shell does nothing.
//
// ATT&CK: T1505.003, web shell.
func WebServerSpawnedShell(h events.Helper) error {
	switch program(h) {
	case "":
		return h.SpawnAs("php-fpm", "syscall.WebServerSpawnedShell")
	case "php-fpm":
		return h.SpawnAs("sh", "syscall.WebServerSpawnedShell", "-c", "id")
	}
	return nil
}
