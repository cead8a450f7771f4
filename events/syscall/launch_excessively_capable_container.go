// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(LaunchExcessivelyCapableContainer, events.WithDisabled(),
	events.WithContainer(events.Container{CapAdd: []string{"SYS_ADMIN"}}))

// LaunchExcessivelyCapableContainer starts a container with a capability that
// is as good as root on the host.
//
// Rule: container_started, that is, a process 1 in a container, with
// CAP_SYS_ADMIN (excessively_capable_container). A copy of this executable is
// process 1 of a PID namespace inside the container. Needs: a container with
// CAP_SYS_ADMIN, which is used for nothing else.
//
// ATT&CK: T1610, deploy container.
func LaunchExcessivelyCapableContainer(h events.Helper) error {
	if h.Spawned() {
		return nil
	}
	return spawnInit(h, "syscall.LaunchExcessivelyCapableContainer")
}
