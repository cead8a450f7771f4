// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

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

// needSystemUser is the need of actions that use becomeSystemUser.
var needSystemUser = events.Need{
	Name: "to become a system user",
	Probe: func() error {
		for _, c := range []struct {
			name string
			bit  int
		}{{"CAP_SETUID", unix.CAP_SETUID}, {"CAP_SETGID", unix.CAP_SETGID}} {
			if ok, err := capable(c.bit); err != nil || !ok {
				return errors.Join(fmt.Errorf("this process does not have %s", c.name), err)
			}
		}
		name, uid, gid, err := systemUser()
		if err != nil {
			return err
		}
		for _, id := range []struct {
			file string
			id   int
		}{{"/proc/self/uid_map", uid}, {"/proc/self/gid_map", gid}} {
			if ok, err := mapped(id.file, id.id); err != nil || !ok {
				return errors.Join(fmt.Errorf("the user namespace of this process has no %s (%s does not map %d)", name, id.file, id.id), err)
			}
		}
		if b, err := os.ReadFile("/proc/self/setgroups"); err == nil && strings.TrimSpace(string(b)) == "deny" {
			return errors.New("the user namespace of this process forbids setgroups")
		}
		return nil
	},
	Hint: "run the tests as root of the machine or of an ordinary container",
}

// needOrdinaryUser is the need of actions for which any user will do but root,
// who becomes a system user.
var needOrdinaryUser = events.Need{
	Name: "an ordinary user",
	Probe: func() error {
		if os.Geteuid() != 0 {
			return nil
		}
		return needSystemUser.Probe()
	},
	Hint: "run the tests as an ordinary user, or as root of the machine or of an ordinary container",
}

// needNoSystemUser is the need of near misses that are none where a system user
// does them.
var needNoSystemUser = events.Need{
	Name: "to be no system user",
	Probe: func() error {
		if id := os.Geteuid(); id > 0 && id < 1000 || id == 65534 { // login.defs(5), user_namespaces(7)
			return fmt.Errorf("this process runs as the system user %d", id)
		}
		return nil
	},
	Hint: "run the tests as an ordinary user or as root",
}

// mapped tells whether a user namespace has an id, by a file such as
// /proc/self/uid_map.
func mapped(file string, id int) (bool, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil // a kernel without user namespaces
	}
	if err != nil {
		return false, err
	}
	for line := range strings.Lines(string(b)) {
		var inside, outside, count int
		if _, err := fmt.Sscan(line, &inside, &outside, &count); err == nil && id >= inside && id-inside < count {
			return true, nil
		}
	}
	return false, nil
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

// giveUp takes a capability from the effective, permitted and inheritable sets
// of this thread.
func giveUp(capability int) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("reading the capabilities of this thread: %w", err)
	}
	sets, bit := &data[capability/32], uint32(1)<<(capability%32)
	if sets.Permitted&bit == 0 {
		return nil
	}
	sets.Effective &^= bit
	sets.Permitted &^= bit
	sets.Inheritable &^= bit
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("giving up a capability: %w", err)
	}
	return nil
}
