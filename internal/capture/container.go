// SPDX-License-Identifier: Apache-2.0

package capture

import (
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

// containerEvent is the event by which Falco told of a container before 0.41.
func (s *state) containerEvent(json []byte) {}

// asyncEvent is an event of a plugin. That of the container plugin tells of a
// container.
func (s *state) asyncEvent(c *call) {}
