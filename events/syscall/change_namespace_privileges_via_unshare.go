// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(ChangeNamespacePrivilegesViaUnshare, events.WithDisabled(),
	events.WithContainer(events.Container{SeccompUnconfined: true}))

// ChangeNamespacePrivilegesViaUnshare asks for a network namespace of its own
// from a container without CAP_SYS_ADMIN, as exploits do that need the
// capabilities a namespace comes with (CVE-2022-0185).
//
// Rule: unshare in a container by a thread that is not permitted
// CAP_SYS_ADMIN; the attempt counts, and is refused. Where there is that
// capability, a thread of its own gives it up. Needs: a container whose seccomp
// profile lets the call reach the kernel. Nothing changes.
//
// ATT&CK: T1611, escape to host.
func ChangeNamespacePrivilegesViaUnshare(h events.Helper) error {
	return onOwnThread(func() error {
		if err := giveUp(unix.CAP_SYS_ADMIN); err != nil {
			return err
		}
		return attempted(h, "making a namespace", unix.Unshare(unix.CLONE_NEWNET), unix.EPERM)
	})
}
