// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(ChangeThreadNamespace, events.WithDisabled())

// ChangeThreadNamespace enters a namespace by its file in /proc, as a process
// does that breaks out of its container into another's.
//
// Rule: setns by a program that is none of the known ones; the attempt counts.
// A thread of its own enters the UTS namespace (the host name) that it is in
// already, and ends. Needs: nothing; the kernel refuses it to an ordinary user.
// No other process is affected.
//
// ATT&CK: T1611, escape to host.
func ChangeThreadNamespace(h events.Helper) error {
	return onOwnThread(func() error {
		fd, err := unix.Open("/proc/self/ns/uts", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("opening a namespace: %w", err)
		}
		defer unix.Close(fd)
		return attempted(h, "entering a namespace", unix.Setns(fd, unix.CLONE_NEWUTS), unix.EPERM)
	})
}
