// SPDX-License-Identifier: Apache-2.0

package event

import (
	"maps"
	"slices"
)

// Clone returns a deep copy of the event, which stays valid when the tracer
// goes on. Processes that the event refers to more than once (a parent shared
// by ancestors) are copied once.
func (e *Event) Clone() *Event {
	c := *e
	s := cloner{procs: map[*Process]*Process{}, fds: map[*FD]*FD{}, containers: map[*Container]*Container{}}
	if e.Thread != nil {
		t := *e.Thread
		t.Process = s.process(t.Process)
		c.Thread = &t
	}
	c.FD = s.fd(e.FD)
	c.Params = slices.Clone(e.Params)
	for i := range c.Params {
		c.Params[i].List = slices.Clone(c.Params[i].List)
		c.Params[i].Strs = slices.Clone(c.Params[i].Strs)
	}
	return &c
}

type cloner struct {
	procs      map[*Process]*Process
	fds        map[*FD]*FD
	containers map[*Container]*Container
}

func (s *cloner) process(p *Process) *Process {
	if p == nil {
		return nil
	}
	if c, ok := s.procs[p]; ok {
		return c
	}
	c := *p
	s.procs[p] = &c
	c.Parent = s.process(p.Parent)
	c.Args = slices.Clone(p.Args)
	c.Env = slices.Clone(p.Env)
	c.Cgroups = slices.Clone(p.Cgroups)
	if p.FDs != nil {
		c.FDs = make(map[int64]*FD, len(p.FDs))
		for n, fd := range p.FDs {
			c.FDs[n] = s.fd(fd)
		}
	}
	c.Container = s.container(p.Container)
	return &c
}

func (s *cloner) fd(fd *FD) *FD {
	if fd == nil {
		return nil
	}
	c, ok := s.fds[fd]
	if !ok {
		n := *fd
		c = &n
		s.fds[fd] = c
	}
	return c
}

func (s *cloner) container(k *Container) *Container {
	if k == nil {
		return nil
	}
	if c, ok := s.containers[k]; ok {
		return c
	}
	c := *k
	c.Mounts = slices.Clone(k.Mounts)
	c.Env = slices.Clone(k.Env)
	c.Labels = maps.Clone(k.Labels)
	c.PodLabels = maps.Clone(k.PodLabels)
	s.containers[k] = &c
	return &c
}
