// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(LaunchSensitiveMountContainer, events.WithDisabled(),
	events.WithContainer(events.Container{
		CapAdd: []string{"SYS_ADMIN"},
		Mounts: []string{"/root:/root:ro"},
	}))

// LaunchSensitiveMountContainer starts a container that has root's home
// directory of the host.
//
// Rule: container_started, that is, a process 1 in a container, with a mount at
// one of the paths of sensitive_mount: /root, read-only. A copy of this
// executable is process 1 of a PID namespace inside the container. Needs: a
// container with CAP_SYS_ADMIN, for the namespace, and that mount, of which
// nothing is read.
//
// ATT&CK: T1610, deploy container.
func LaunchSensitiveMountContainer(h events.Helper) error {
	if h.Spawned() {
		return nil
	}
	return spawnInit(h, "syscall.LaunchSensitiveMountContainer")
}
