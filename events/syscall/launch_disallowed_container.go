// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(LaunchDisallowedContainer, events.WithDisabled(),
	events.WithContainer(events.Container{CapAdd: []string{"SYS_ADMIN"}}))

// LaunchDisallowedContainer starts a container of an image that nobody allowed.
//
// Rule: container_started, that is, a process 1 in a container, and not
// allowed_containers. A copy of this executable is process 1 of a PID namespace
// inside the container. Upstream, allowed_containers is "container.id exists",
// which is true of everything, so that the rule matches nothing until somebody
// says which images are allowed. Needs: a container with CAP_SYS_ADMIN, for the
// namespace.
//
// ATT&CK: T1610, deploy container.
func LaunchDisallowedContainer(h events.Helper) error {
	if h.Spawned() {
		return nil
	}
	return spawnInit(h, "syscall.LaunchDisallowedContainer")
}
