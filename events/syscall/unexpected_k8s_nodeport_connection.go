// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(UnexpectedK8sNodePortConnection, events.WithDisabled(),
	events.WithContainer(events.Container{CapAdd: []string{"NET_ADMIN"}}))

// UnexpectedK8sNodePortConnection connects from a container to a node port of a
// Kubernetes cluster.
//
// Rule: inbound_outbound in a container with a server's port from 30000 to
// 32767. The server is its own: the container's loopback interface has the
// address until the action completes. Needs: a container with CAP_NET_ADMIN. No
// cluster is asked.
//
// ATT&CK: T1205.001, port knocking.
func UnexpectedK8sNodePortConnection(h events.Helper) error {
	return withAddress(h, documentationIP, func() error {
		return connectTo(unix.SOCK_STREAM, documentationIP, 30080)
	})
}
