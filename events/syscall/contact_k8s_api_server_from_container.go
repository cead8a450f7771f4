// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(ContactK8SAPIServerFromContainer,
	events.WithContainer(events.Container{}), events.WithNeeds(events.OwnNames))

// ContactK8SAPIServerFromContainer connects from a container to what is known
// there as the Kubernetes API server, as an attacker does who found a service
// account's token.
//
// Rule: connect in a container to an address that the name
// kubernetes.default.svc.cluster.local has (k8s_api_server). The address is
// loopback, with a server of its own, which the container's /etc/hosts gives
// that name until the action completes. In a pod, it also connects a UDP
// socket, which sends nothing, to the cluster's API server. Needs: a container,
// and a judge that resolves the name by the container's /etc/hosts or is in the
// cluster. The API server notices nothing.
//
// ATT&CK: T1565, data manipulation.
func ContactK8SAPIServerFromContainer(h events.Helper) error {
	const name = "kubernetes.default.svc.cluster.local"
	loopback := netip.MustParseAddr("127.0.0.1")
	err := onOwnThread(func() error {
		if err := enterHosts(h, loopback.String(), name); err != nil {
			return err
		}
		return connectTo(unix.SOCK_STREAM, loopback, 0)
	})
	return errors.Join(err, connectToCluster())
}

func connectToCluster() error {
	ip, err := netip.ParseAddr(os.Getenv("KUBERNETES_SERVICE_HOST"))
	if err != nil || !ip.Is4() {
		return nil // not in a pod
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening a socket: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, sockaddr(netip.AddrPortFrom(ip, 443))); err != nil {
		return fmt.Errorf("connecting a socket to the API server: %w", err)
	}
	return nil
}
