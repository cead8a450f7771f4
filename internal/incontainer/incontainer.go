// SPDX-License-Identifier: Apache-2.0

// Package incontainer tells whether this process runs in a container.
//
// It imports nothing of this module and reads only /proc and two files.
package incontainer

import (
	"regexp"
	"strings"
)

// evidence is what is looked at to tell whether a process is in a container.
type evidence struct {
	cgroups    string // /proc/self/cgroup
	mounts     string // /proc/self/mountinfo
	marked     bool   // /.dockerenv or /run/.containerenv exists
	namespaces bool   // a PID, UTS, IPC or cgroup namespace is not the machine's first
}

// containerCgroup matches the names that container engines give to control
// groups: a 64-digit id by itself or between a prefix and ".scope".
var containerCgroup = regexp.MustCompile(`(^|[/:-])([0-9a-f]{64}|[0-9a-f]{32}-[0-9]{10})(\.scope)?(/|$)`)

// engineMount matches the files that an engine mounts into its containers.
var engineMount = regexp.MustCompile(`/(containers|overlay-containers|sandboxes|pods)/[^ ]*/(hostname|hosts|resolv\.conf|etc-hosts) /`)

// contained weighs the evidence. A control group named after a container is
// enough, as it is to Falco. A marker file alone is not: it is also found on
// machines whose root was made from an image. It, or files mounted by an
// engine, count together with namespaces that are not the machine's.
func (e evidence) contained() bool {
	for line := range strings.Lines(e.cgroups) {
		if containerCgroup.MatchString(strings.TrimSpace(line)) {
			return true
		}
	}
	if engineMount.MatchString(e.mounts) {
		return true
	}
	return e.marked && e.namespaces
}

// Here tells whether this process runs in a container. It looks at its
// control groups (/proc/self/cgroup: an id as Docker, Podman, containerd and
// CRI-O use), its mounts (/proc/self/mountinfo: /etc/hosts and its like from an
// engine's folder), and at /.dockerenv and /run/.containerenv, which count
// where the PID, UTS, IPC or cgroup namespace is not the machine's first.
// It is false on other systems than Linux.
func Here() bool { return gather().contained() }

// Identity tells which container this process runs in, as far as that shows from
// inside: by its control groups, where the engine lets them be seen, or by the
// files that it mounted. The id is empty where it does not show, and so is the
// engine's name.
func Identity() (id, engine string) { return gather().identity() }

// engineFiles matches where an engine keeps the files that it mounts, whose path
// has the id of the container.
var engineFiles = regexp.MustCompile(`/(docker/containers|overlay-containers)/([0-9a-f]{64})/`)

func (e evidence) identity() (id, engine string) {
	if m := engineFiles.FindStringSubmatch(e.mounts); m != nil {
		if m[1] == "docker/containers" {
			return m[2], "docker"
		}
		return m[2], "podman"
	}
	for line := range strings.Lines(e.cgroups) {
		line = strings.TrimSpace(line)
		if m := containerCgroup.FindStringSubmatch(line); m != nil && len(m[2]) == 64 {
			switch {
			case strings.Contains(line, "docker"):
				engine = "docker"
			case strings.Contains(line, "libpod"):
				engine = "podman"
			}
			return m[2], engine
		}
	}
	return "", ""
}
