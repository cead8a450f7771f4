// SPDX-License-Identifier: Apache-2.0

package helper

import (
	"os"
	"regexp"
	"strings"
)

// InContainer tells whether this process runs in a container. It looks at, in
// this order:
//
//   - the files that Docker and Podman put into containers, /.dockerenv and
//     /run/.containerenv;
//   - the variable "container", which systemd-nspawn, LXC and Podman set for
//     the first process and its children;
//   - the control groups in /proc/self/cgroup, whose paths hold the engine's
//     name where the container does not have a cgroup namespace;
//   - the mount on /, which is an overlay made by an engine, together with a
//     process namespace that is not the machine's first (its inode number is
//     fixed in the kernel: PROC_PID_INIT_INO).
//
// Where there is no /proc, the answer is false.
func InContainer() bool {
	return inContainer("/", os.Getenv)
}

// initialPIDNamespace is PROC_PID_INIT_INO of the kernel's proc_ns.h.
const initialPIDNamespace = "pid:[4026531836]"

var engineCgroup = regexp.MustCompile(`(?m)[/:-](docker|libpod|kubepods|crio|cri-containerd|containerd|lxc|machine\.slice)([/.:-]|$)`)

func inContainer(root string, getenv func(string) string) bool {
	for _, marker := range []string{".dockerenv", "run/.containerenv"} {
		if _, err := os.Stat(root + marker); err == nil {
			return true
		}
	}
	if getenv("container") != "" {
		return true
	}
	if b, err := os.ReadFile(root + "proc/self/cgroup"); err == nil {
		for line := range strings.Lines(string(b)) {
			// containerd's own service is no container.
			if engineCgroup.MatchString(line) && !strings.Contains(line, ".service") {
				return true
			}
		}
	}
	if ns, err := os.Readlink(root + "proc/self/ns/pid"); err != nil || ns == initialPIDNamespace {
		return false
	}
	b, err := os.ReadFile(root + "proc/self/mounts")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 2 && f[1] == "/" && f[2] == "overlay" {
			return true
		}
	}
	return false
}
