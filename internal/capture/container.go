// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"bytes"
	"cmp"
	"encoding/json"

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
	Container struct {
		ID         string            `json:"id"`
		FullID     string            `json:"full_id"`
		Name       string            `json:"name"`
		Image      string            `json:"image"`
		ImageID    string            `json:"imageid"`
		Repository string            `json:"imagerepo"`
		Tag        string            `json:"imagetag"`
		Digest     string            `json:"imagedigest"`
		Privileged bool              `json:"privileged"`
		IP         string            `json:"ip"`
		Labels     map[string]string `json:"labels"`
		Env        []string          `json:"env"`
		Mounts     []struct {
			Source, Destination, Mode, Propagation string
			RW                                     bool
		}
	} `json:"container"`
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
	c.Name, c.Image, c.ImageID, c.Repository, c.Tag, c.Digest = in.Name, in.Image, in.ImageID, in.Repository, in.Tag, in.Digest
	c.Privileged, c.IP, c.Labels, c.Env = in.Privileged, in.IP, in.Labels, in.Env
	c.Mounts = nil
	for _, m := range in.Mounts {
		c.Mounts = append(c.Mounts, event.Mount{Source: m.Source, Dest: m.Destination, Mode: m.Mode, RW: m.RW, Propagation: m.Propagation})
	}
	c.PodName, c.PodNamespace = in.Labels["io.kubernetes.pod.name"], in.Labels["io.kubernetes.pod.namespace"]
	c.PodUID, c.PodSandboxID = in.Labels["io.kubernetes.pod.uid"], in.Labels["io.kubernetes.sandbox.id"]
	c.Complete = in.Image != ""
}

// asyncEvent is an event of a plugin. That of the container plugin tells of a
// container.
func (s *state) asyncEvent(c *call) {
	if name := c.text(1); string(bytes.TrimRight(name, "\x00")) == "container" {
		s.containerEvent(c.text(2))
	}
}
