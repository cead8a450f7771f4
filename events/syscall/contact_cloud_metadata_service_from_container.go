// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(ContactCloudMetadataServiceFromContainer, events.WithDisabled(),
	events.WithContainer(events.Container{CapAdd: []string{"NET_ADMIN"}}))

// ContactCloudMetadataServiceFromContainer connects to the metadata service that all
// clouds have at the same address, from a container, to learn what this machine
// may do.
//
// Rule: outbound to 169.254.169.254 in a container (and not
// user_known_metadata_access). The server is its own: the container's loopback interface
// has that address until the action completes. Needs: a container with
// CAP_NET_ADMIN. No cloud is asked.
//
// ATT&CK: T1565, data manipulation.
func ContactCloudMetadataServiceFromContainer(h events.Helper) error {
	return withAddress(h, metadataIP, func() error {
		return connectTo(unix.SOCK_STREAM, metadataIP, 80)
	})
}
