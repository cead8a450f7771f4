// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(WebServerSpawnedSuspiciousChildProcess, events.WithDisabled())

// WebServerSpawnedSuspiciousChildProcess asks from a web server who it runs as,
// as the first command of a web shell does.
//
// Rule: spawned_process of one of suspicious_web_children below one of
// web_server_binaries (spawned_by_web_server): copies of this executable run as
// nginx and, below it, as whoami. Needs: nothing. The program does nothing.
//
// ATT&CK: T1059, command and scripting interpreter.
func WebServerSpawnedSuspiciousChildProcess(h events.Helper) error {
	switch program(h) {
	case "":
		return h.SpawnAs("nginx", "syscall.WebServerSpawnedSuspiciousChildProcess")
	case "nginx":
		return h.SpawnAs("whoami", "syscall.WebServerSpawnedSuspiciousChildProcess")
	}
	return nil
}
