// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(LaunchPrivilegedContainer, events.WithDisabled(),
	events.WithContainer(events.Container{Privileged: true}))

// LaunchPrivilegedContainer starts a privileged container.
//
// Rule: container_started, that is, a process 1 in a container, with
// container.privileged. A copy of this executable is process 1 of a PID
// namespace inside the container, as the first process of a container in that
// container is. Needs: a privileged container, which is all that it starts.
//
// ATT&CK: T1610, deploy container.
func LaunchPrivilegedContainer(h events.Helper) error {
	if h.Spawned() {
		return nil
	}
	return spawnInit(h, "syscall.LaunchPrivilegedContainer")
}
