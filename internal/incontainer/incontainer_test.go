// SPDX-License-Identifier: Apache-2.0

package incontainer

import "testing"

const id = "4ad1b2c3d4e5f60718293a4b5c6d7e8f9a0b1c2d3e4f5061728394a5b6c7d8e9"

func TestContained(t *testing.T) {
	for name, test := range map[string]struct {
		evidence
		want bool
	}{
		"a host":                         {evidence{cgroups: "0::/user.slice/user-1000.slice/session-2.scope\n"}, false},
		"a host, version 1":              {evidence{cgroups: "9:pids:/\n4:memory:/some/dcb59c9f7a4106300d816abcaeba5458\n0::/\n"}, false},
		"docker, version 1":              {evidence{cgroups: "9:pids:/docker/" + id + "\n"}, true},
		"docker, systemd":                {evidence{cgroups: "0::/system.slice/docker-" + id + ".scope\n"}, true},
		"kubernetes, containerd":         {evidence{cgroups: "0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-" + id + ".scope\n"}, true},
		"podman":                         {evidence{cgroups: "0::/machine.slice/libpod-" + id + ".scope/container\n"}, true},
		"a marker on a host":             {evidence{cgroups: "0::/\n", marked: true}, false},
		"namespaces of a sandbox":        {evidence{cgroups: "0::/\n", namespaces: true}, false},
		"a marker and namespaces":        {evidence{cgroups: "0::/\n", marked: true, namespaces: true}, true},
		"files that an engine mounted":   {evidence{mounts: "1 2 8:1 /var/lib/docker/containers/" + id + "/hosts /etc/hosts rw - ext4 /dev/sda rw\n"}, true},
		"a kubelet's hosts file":         {evidence{mounts: "1 2 8:1 /var/lib/kubelet/pods/x/etc-hosts /etc/hosts rw - ext4 /dev/sda rw\n"}, true},
		"a host that bind mounts itself": {evidence{mounts: "1 2 8:1 /etc/hosts /etc/hosts rw - ext4 /dev/sda rw\n"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.contained(); got != test.want {
				t.Errorf("contained = %v", got)
			}
		})
	}
}

func TestIdentity(t *testing.T) {
	for name, test := range map[string]struct {
		evidence
		id, engine string
	}{
		"a host":               {evidence{cgroups: "0::/user.slice/session-2.scope\n"}, "", ""},
		"a private cgroup":     {evidence{cgroups: "0::/\n", marked: true, namespaces: true}, "", ""},
		"docker, version 1":    {evidence{cgroups: "9:pids:/docker/" + id + "\n"}, id, "docker"},
		"docker, systemd":      {evidence{cgroups: "0::/system.slice/docker-" + id + ".scope\n"}, id, "docker"},
		"podman":               {evidence{cgroups: "0::/machine.slice/libpod-" + id + ".scope/container\n"}, id, "podman"},
		"containerd":           {evidence{cgroups: "0::/kubepods.slice/cri-containerd-" + id + ".scope\n"}, id, ""},
		"docker, by its mount": {evidence{cgroups: "0::/\n", mounts: "1 2 8:1 /var/lib/docker/containers/" + id + "/hosts /etc/hosts rw - ext4 /dev/sda rw\n"}, id, "docker"},
		"podman, by its mount": {evidence{mounts: "1 2 8:1 /containers/storage/overlay-containers/" + id + "/userdata/hosts /etc/hosts rw - ext4 /dev/sda rw\n"}, id, "podman"},
		"a sandbox's files":    {evidence{mounts: "1 2 8:1 /var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/" + id + "/hostname /etc/hostname rw - ext4 /dev/sda rw\n"}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if id, engine := test.identity(); id != test.id || engine != test.engine {
				t.Errorf("got %q of %q", id, engine)
			}
		})
	}
}
