// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(NetworkConnectionOutsideLocalSubnet, events.WithDisabled(),
	events.WithContainer(events.Container{
		CapAdd: []string{"NET_ADMIN"},
		Labels: map[string]string{
			"io.kubernetes.pod.name":      "falcotest",
			"io.kubernetes.pod.namespace": "default",
		},
	}))

// NetworkConnectionOutsideLocalSubnet connects from a pod to a public address.
//
// Rule: inbound_outbound in a container of one of the namespaces in the list
// namespace_scope_network_only_subnet, and not network_local_subnet. The server
// is its own: the container's loopback interface has the address until the
// action completes. The container carries the labels of a pod in the namespace
// default. Upstream, the list is empty, so that the rule matches nothing until
// somebody adds a namespace: with default in it, it matches this. Needs: a
// container with CAP_NET_ADMIN. Nothing leaves the machine.
//
// ATT&CK: T1046, network service discovery.
func NetworkConnectionOutsideLocalSubnet(h events.Helper) error {
	return withAddress(h, documentationIP, func() error {
		return connectTo(unix.SOCK_STREAM, documentationIP, 443)
	})
}
