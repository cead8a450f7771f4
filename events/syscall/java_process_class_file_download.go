// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(JavaProcessClassFileDownload, events.WithDisabled())

// JavaProcessClassFileDownload lets a Java program receive a class from the
// network, as Log4Shell (CVE-2021-44228) does.
//
// Rule: recvfrom of a connection (fd.type ipv4) by java, of data that contain
// the bytes cafebabe, with which each class starts: a copy of this executable
// runs as java and receives them from a server of its own on loopback. Needs:
// nothing. No class is loaded.
//
// ATT&CK: T1190, exploit public-facing application.
func JavaProcessClassFileDownload(h events.Helper) error {
	if program(h) != "java" {
		return h.SpawnAs("java", "syscall.JavaProcessClassFileDownload", "-jar", "app.jar")
	}
	c, err := connect(unix.SOCK_STREAM, netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		return err
	}
	defer c.Close()
	class := []byte{0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 52}
	if _, err := unix.Write(c.server, class); err != nil {
		return fmt.Errorf("sending a class: %w", err)
	}
	if _, _, err := unix.Recvfrom(c.client, make([]byte, 64), 0); err != nil {
		return fmt.Errorf("receiving a class: %w", err)
	}
	return nil
}
