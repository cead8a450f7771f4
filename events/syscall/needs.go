// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

// needNetwork is the need of actions that make a network namespace, see
// enterNetwork, or a mount namespace, see enterHosts.
var needNetwork = events.Need{
	Name: "CAP_SYS_ADMIN, CAP_NET_ADMIN",
	Probe: func() error {
		for _, c := range []struct {
			name string
			bit  int
		}{{"CAP_SYS_ADMIN", unix.CAP_SYS_ADMIN}, {"CAP_NET_ADMIN", unix.CAP_NET_ADMIN}} {
			if ok, err := capable(c.bit); err != nil || !ok {
				return errors.Join(fmt.Errorf("this process does not have %s", c.name), err)
			}
		}
		return nil
	},
	Hint: "run the tests as root",
}

// needAddress is the need of actions that use withForeignAddress.
var needAddress = events.Need{
	Name: "an address other than loopback",
	Probe: func() error {
		if needNetwork.Probe() == nil {
			return nil
		}
		_, err := interfaceAddress()
		return err
	},
	Hint: "run the tests as root, or on a machine whose interface has an address",
}

// capable tells whether a capability is in this process's effective set.
func capable(capability int) (bool, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false, fmt.Errorf("reading the capabilities of this process: %w", err)
	}
	return data[capability/32].Effective&(1<<(capability%32)) != 0, nil
}
