// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(ContainerRunAsRootUser, events.WithDisabled(),
	events.WithContainer(events.Container{CapAdd: []string{"SYS_ADMIN"}}))

// ContainerRunAsRootUser starts a container whose first process is root.
//
// Rule: spawned_process in a container of a process 1 with user.uid 0. A copy of
// this executable is process 1 of a PID namespace inside the container. Needs: a
// container that runs as root, with CAP_SYS_ADMIN for the namespace.
//
// ATT&CK: T1610, deploy container.
func ContainerRunAsRootUser(h events.Helper) error {
	if h.Spawned() {
		return nil
	}
	return spawnInit(h, "syscall.ContainerRunAsRootUser")
}
