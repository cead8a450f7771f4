// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(PrivilegedContainerDeviceAccess, events.WithDisabled(),
	events.WithContainer(events.Container{Privileged: true}))

// PrivilegedContainerDeviceAccess opens the host's disk from a privileged
// container.
//
// Rule: open_read in a container of a device such as /dev/sda or /dev/vda. It
// opens the first disk that it finds for reading and closes it, without reading;
// where there is none, a file of its own with such a name. Needs: a privileged
// container. The disk is left alone.
//
// ATT&CK: T1611, escape to host.
func PrivilegedContainerDeviceAccess(h events.Helper) error {
	for _, pattern := range []string{"/dev/sd*", "/dev/nvme*", "/dev/vd*", "/dev/xvd*"} {
		disks, _ := filepath.Glob(pattern) // the pattern is well formed
		for _, disk := range disks {
			if f, err := os.Open(disk); err == nil {
				return f.Close()
			}
		}
	}
	_, err := create(h, "/dev/sd-"+uniqueName())
	if errors.Is(err, fs.ErrPermission) {
		return &events.ErrSkipped{Reason: "no disk can be opened, and this user may not make a file in /dev"}
	}
	return err
}
