// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"bytes"
	"cmp"
	"encoding/json"
	"strings"

	"github.com/falcotest/go-falcotest/internal/event"
)

// containerOf is the container that control groups name, nil for the host.
func (s *state) containerOf(cgroups []string) *event.Container {
	for _, g := range cgroups {
		_, path, _ := cutCgroup(g)
		if id, typ := event.ContainerID(path); id != "" {
			return s.container(id, typ)
		}
	}
	return nil
}

func cutCgroup(g string) (subsys, path string, ok bool) {
	for i := range len(g) {
		if g[i] == '=' {
			return g[:i], g[i+1:], true
		}
	}
	return "", g, false
}

func (s *state) container(id, typ string) *event.Container {
	short := id[:min(12, len(id))]
	if c := s.containers[short]; c != nil {
		return c
	}
	if len(s.containers) >= maxThreads {
		return nil
	}
	c := &event.Container{ID: short, FullID: id, Type: typ}
	s.containers[short] = c
	return c
}

// containerInfo is what a container engine said of a container, as Falco and its
// container plugin write it down (container_info in falcosecurity/libs and plugins).
type containerInfo struct {
	Container containerBody `json:"container"`
}

type containerBody struct {
	Type        uint32            `json:"type"`
	ID          string            `json:"id"`
	FullID      string            `json:"full_id"`
	Name        string            `json:"name"`
	Image       string            `json:"image"`
	ImageID     string            `json:"imageid"`
	Repository  string            `json:"imagerepo"`
	Tag         string            `json:"imagetag"`
	Digest      string            `json:"imagedigest"`
	Created     int64             `json:"created_time"`
	Privileged  bool              `json:"privileged"`
	HostPID     bool              `json:"host_pid"`
	HostNetwork bool              `json:"host_network"`
	HostIPC     bool              `json:"host_ipc"`
	IP          string            `json:"ip"`
	Labels      map[string]string `json:"labels"`
	Env         []string          `json:"env"`
	Mounts      []containerMount
	SandboxID   string            `json:"pod_sandbox_id"`
	PodLabels   map[string]string `json:"pod_sandbox_labels"`
	IsSandbox   bool              `json:"is_pod_sandbox"`
	Healthcheck *containerProbe   `json:",omitempty"`
	Liveness    *containerProbe   `json:"LivenessProbe,omitempty"`
	Readiness   *containerProbe   `json:"ReadinessProbe,omitempty"`
}

type containerMount struct {
	Source, Destination, Mode, Propagation string
	RW                                     bool
}

// containerProbe is a program by which an engine sees whether a container is well.
type containerProbe struct {
	Exe  string   `json:"exe"`
	Args []string `json:"args"`
}

// containerTypes are the engines by their numbers in the plugin.
var containerTypes = map[string]uint32{
	"docker": 0, "lxc": 1, "libvirt-lxc": 2, "cri": 6, "containerd": 7, "cri-o": 8, "bpm": 9, "podman": 11,
}

const unknownEngine = 0xffff

// infoOf is what an event tells of a container. Its environment is redacted.
func infoOf(c *event.Container, redacted func([]string) []string) containerInfo {
	body := containerBody{
		Type: unknownEngine, ID: c.ID, FullID: c.FullID, Name: c.Name, Image: c.Image, ImageID: c.ImageID, Repository: c.Repository,
		Tag: c.Tag, Digest: c.Digest, Privileged: c.Privileged, HostPID: c.HostPID, HostNetwork: c.HostNetwork, HostIPC: c.HostIPC,
		IP: c.IP, Labels: c.Labels, Env: redacted(c.Env), SandboxID: c.PodSandboxID, PodLabels: c.PodLabels,
		Healthcheck: probe(c.Healthcheck), Liveness: probe(c.Liveness), Readiness: probe(c.Readiness),
	}
	if n, ok := containerTypes[c.Type]; ok {
		body.Type = n
	}
	for _, m := range c.Mounts {
		body.Mounts = append(body.Mounts, containerMount{m.Source, m.Dest, m.Mode, m.Propagation, m.RW})
	}
	return containerInfo{body}
}

// probe takes a command line apart, and text puts one together.
func probe(command string) *containerProbe {
	words := strings.Fields(command)
	if len(words) == 0 {
		return nil
	}
	return &containerProbe{words[0], words[1:]}
}

func (p *containerProbe) text() string {
	if p == nil {
		return ""
	}
	return strings.TrimSpace(p.Exe + " " + strings.Join(p.Args, " "))
}

// containerEvent is the event by which Falco told of a container before 0.41. What
// cannot be read tells nothing.
func (s *state) containerEvent(data []byte) {
	var info containerInfo
	in := &info.Container
	if json.Unmarshal(bytes.TrimRight(data, "\x00"), &info) != nil || in.ID == "" {
		return
	}
	c := s.container(in.ID, "")
	if c == nil {
		return
	}
	c.FullID = cmp.Or(in.FullID, c.FullID)
	for name, n := range containerTypes {
		if n == in.Type {
			c.Type = cmp.Or(c.Type, name)
		}
	}
	c.Name, c.Image, c.ImageID, c.Repository, c.Tag, c.Digest = in.Name, in.Image, in.ImageID, in.Repository, in.Tag, in.Digest
	c.Privileged, c.IP, c.Labels, c.Env = in.Privileged, in.IP, in.Labels, in.Env
	c.HostPID, c.HostNetwork, c.HostIPC = in.HostPID, in.HostNetwork, in.HostIPC
	c.Healthcheck, c.Liveness, c.Readiness = in.Healthcheck.text(), in.Liveness.text(), in.Readiness.text()
	c.Mounts = nil
	for _, m := range in.Mounts {
		c.Mounts = append(c.Mounts, event.Mount{Source: m.Source, Dest: m.Destination, Mode: m.Mode, RW: m.RW, Propagation: m.Propagation})
	}
	c.PodName, c.PodNamespace = in.Labels["io.kubernetes.pod.name"], in.Labels["io.kubernetes.pod.namespace"]
	c.PodUID, c.PodSandboxID = in.Labels["io.kubernetes.pod.uid"], cmp.Or(in.SandboxID, in.Labels["io.kubernetes.sandbox.id"])
	c.PodLabels = in.PodLabels
	c.Complete = in.Image != ""
}

// containerEventName is the name of the events by which the container plugin tells of
// a container.
const containerEventName = "container"

// asyncEvent is an event of a plugin. That of the container plugin tells of a
// container.
func (s *state) asyncEvent(c *call) {
	if name := c.text(1); string(bytes.TrimRight(name, "\x00")) == containerEventName {
		s.containerEvent(c.text(2))
	}
}
