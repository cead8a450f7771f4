// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(ContactEC2InstanceMetadataServiceFromContainer, events.WithDisabled(),
	events.WithContainer(events.Container{CapAdd: []string{"NET_ADMIN"}}))

// ContactEC2InstanceMetadataServiceFromContainer connects to EC2's instance
// metadata service from a container, to get at the instance's credentials.
//
// Rule: outbound to 169.254.169.254 in a container (and not
// ec2_metadata_containers). The server is its own: the container's loopback interface
// has that address until the action completes. Needs: a container with
// CAP_NET_ADMIN. No cloud is asked.
//
// ATT&CK: T1552.005, cloud instance metadata API.
func ContactEC2InstanceMetadataServiceFromContainer(h events.Helper) error {
	return withAddress(h, metadataIP, func() error {
		return connectTo(unix.SOCK_STREAM, metadataIP, 80)
	})
}
