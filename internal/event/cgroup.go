// SPDX-License-Identifier: Apache-2.0

package event

import "strings"

// containerLayouts are how engines write a container's ID of 64 hexadecimal
// digits into the path of its control group, in the order in which Falco's
// container plugin tries them.
var containerLayouts = []struct{ prefix, suffix, typ string }{
	{"/libpod-", ".scope", "podman"},
	{"/libpod-", ".scope/container", "podman"},
	{"/libpod-", "", "podman"},
	{"/libpod-payload-", ".scope", "podman"},
	{"/libpod-payload-", ".scope/container", "podman"},
	{"/libpod-payload-", "", "podman"},
	{"/docker/", "", "docker"},
	{"/", "", "containerd"},
	{"/docker-", ".scope", "docker"},
	{"/crio-", "", "cri-o"},
	{"/cri-containerd-", ".scope", "containerd"},
	{"/crio-", ".scope", "cri-o"},
	{":cri-containerd:", "", "containerd"},
}

// ContainerID finds the container that the path of a control group names, and
// the engine that it belongs to.
//
// Like Falco's container plugin (0.6.4) it takes any path of two or more parts
// that does not end as systemd's do for /NAMESPACE/ID of containerd, whose IDs
// may be anything.
func ContainerID(path string) (id, typ string) {
	for _, l := range containerLayouts {
		i := strings.LastIndex(path, l.prefix)
		if i < 0 {
			continue
		}
		if id, ok := strings.CutSuffix(path[i+len(l.prefix):], l.suffix); ok && isHexID(id) {
			return id, l.typ
		}
	}
	if id := containerdID(path); id != "" {
		return id, "containerd"
	}
	for _, prefix := range []string{"/lxc/", "/lxc.payload/", "/lxc.payload."} {
		if _, rest, ok := strings.Cut(path, prefix); ok {
			id, _, _ := strings.Cut(rest, "/")
			return id, "lxc"
		}
	}
	return "", ""
}

// containerdID returns what follows the first part of a path.
func containerdID(path string) string {
	first, id, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if !ok || first == "" || id == "" || len(id) > 64 {
		return ""
	}
	for _, suffix := range []string{".service", ".slice", ".scope"} {
		if strings.HasSuffix(path, suffix) {
			return ""
		}
	}
	return id
}

func isHexID(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdefABCDEF") == ""
}
