// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"runtime"
	"time"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(ReadSensitiveFileTrustedAfterStartup, events.WithDuration(5200*time.Millisecond))

// ReadSensitiveFileTrustedAfterStartup reads /etc/shadow, or a file of
// /etc/pam.d, from a web server that has been running for more than five
// seconds, as one does that was taken over by a request.
//
// Rule: open_read and sensitive_files and server_procs and not proc_is_new:
// a copy of this executable runs as httpd. Falco counts the age of the thread,
// so the sleep happens on the very thread that opens the file. Needs: 5.2
// seconds. It reads one byte and changes nothing.
//
// ATT&CK: T1555, credentials from password stores.
func ReadSensitiveFileTrustedAfterStartup(h events.Helper) error {
	if program(h) != "httpd" {
		return h.SpawnAs("httpd", "syscall.ReadSensitiveFileTrustedAfterStartup")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	h.Sleep(5200 * time.Millisecond)
	return readSensitiveFile(h)
}
