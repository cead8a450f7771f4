// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(LaunchPackageManagementProcessInContainer, events.WithDisabled(),
	events.WithContainer(events.Container{Files: map[string]string{"/etc/passwd": rootPasswd}}))

// rootPasswd is the passwd file of a container whose rule asks for the name of
// a user.
const rootPasswd = "root:x:0:0:root:/root:/bin/sh\n"

// LaunchPackageManagementProcessInContainer installs a package in a running
// container.
//
// Rule: spawned_process of one of package_mgmt_binaries (package_mgmt_procs) in
// a container, by a user who is not _apt and not below another package manager:
// a copy of this executable runs as apt-get. Needs: a container. Nothing is
// installed.
//
// ATT&CK: T1505, server software component.
func LaunchPackageManagementProcessInContainer(h events.Helper) error {
	if h.Spawned() {
		return nil
	}
	return h.SpawnAs("apt-get", "syscall.LaunchPackageManagementProcessInContainer", "install", "-y", "nmap")
}
