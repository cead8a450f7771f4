// SPDX-License-Identifier: Apache-2.0

package fields

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/filter"
)

// hostContainer is what Falco's container plugin tells of the host.
var hostContainer = &event.Container{ID: "host", FullID: "host", Name: "host", Type: "host", Complete: true}

const needsCRI = "only a CRI runtime tells it, and the built-in engine asks none"

var containerFields = []field{
	{name: "container.id", typ: filter.CharBuf, get: str(func(e *event.Event) (string, bool) {
		c := container(e)
		if c == nil {
			return "", false
		}
		return c.ID, true
	})},
	{name: "container.full_id", typ: filter.CharBuf, get: containerStr(func(c *event.Container) string { return c.FullID })},
	{name: "container.name", typ: filter.CharBuf, get: containerName(func(c *event.Container) string { return c.Name })},
	{name: "container.image", typ: filter.CharBuf, get: containerName(func(c *event.Container) string { return c.Image })},
	{name: "container.image.id", typ: filter.CharBuf, get: containerName(func(c *event.Container) string { return c.ImageID })},
	{name: "container.type", typ: filter.CharBuf, get: containerStr(func(c *event.Container) string { return c.Type })},
	{name: "container.privileged", typ: filter.Bool, get: containerBool(func(c *event.Container) bool { return c.Privileged })},
	{name: "container.mounts", typ: filter.CharBuf, get: containerStr(func(c *event.Container) string {
		var b strings.Builder
		for i := range c.Mounts {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(mountText(&c.Mounts[i]))
		}
		return b.String()
	})},
	mountField("container.mount", mountText),
	mountField("container.mount.source", func(m *event.Mount) string { return m.Source }),
	mountField("container.mount.dest", func(m *event.Mount) string { return m.Dest }),
	mountField("container.mount.mode", func(m *event.Mount) string { return m.Mode }),
	mountField("container.mount.rdwr", func(m *event.Mount) string { return strconv.FormatBool(m.RW) }),
	mountField("container.mount.propagation", func(m *event.Mount) string { return m.Propagation }),
	{name: "container.image.repository", typ: filter.CharBuf, get: containerName(func(c *event.Container) string { return c.Repository })},
	{name: "container.image.tag", typ: filter.CharBuf, get: containerName(func(c *event.Container) string { return c.Tag })},
	{name: "container.image.digest", typ: filter.CharBuf, get: containerName(func(c *event.Container) string { return c.Digest })},
	{name: "container.healthcheck", typ: filter.CharBuf, get: containerStr(func(c *event.Container) string { return orNone(c.Healthcheck) })},
	{name: "container.liveness_probe", typ: filter.CharBuf, get: containerStr(func(c *event.Container) string { return orNone(c.Liveness) })},
	{name: "container.readiness_probe", typ: filter.CharBuf, get: containerStr(func(c *event.Container) string { return orNone(c.Readiness) })},
	{name: "container.start_ts", typ: filter.AbsTime, get: procSet(func(p *event.Process) int64 { return p.PidnsInitStart })},
	{name: "container.duration", typ: filter.RelTime, get: num(func(e *event.Event) (int64, bool) {
		p := proc(e)
		if p == nil || p.PidnsInitStart == 0 {
			return 0, false
		}
		return e.Time - p.PidnsInitStart, true
	})},
	{name: "container.ip", typ: filter.CharBuf, get: containerStr(func(c *event.Container) string { return c.IP })},
	{name: "container.cni.json", typ: filter.CharBuf, unsupported: needsCRI},
	{name: "container.host_pid", typ: filter.Bool, get: containerBool(func(c *event.Container) bool { return c.HostPID })},
	{name: "container.host_network", typ: filter.Bool, get: containerBool(func(c *event.Container) bool { return c.HostNetwork })},
	{name: "container.host_ipc", typ: filter.Bool, get: containerBool(func(c *event.Container) bool { return c.HostIPC })},
	{name: "container.label", typ: filter.CharBuf, arg: reqDotKey, with: labelOf("container.label", func(c *event.Container) map[string]string { return c.Labels })},
	{name: "container.labels", typ: filter.CharBuf, get: containerStr(func(c *event.Container) string { return labelsText(c.Labels) })},
	{name: "proc.is_container_healthcheck", typ: filter.Bool, get: probe(func(c *event.Container) string { return c.Healthcheck })},
	{name: "proc.is_container_liveness_probe", typ: filter.Bool, get: probe(func(c *event.Container) string { return c.Liveness })},
	{name: "proc.is_container_readiness_probe", typ: filter.Bool, get: probe(func(c *event.Container) string { return c.Readiness })},
	{name: "k8s.pod.name", typ: filter.CharBuf, get: podStr(func(c *event.Container) string { return c.PodName }, "io.kubernetes.pod.name")},
	{name: "k8s.ns.name", typ: filter.CharBuf, get: podStr(func(c *event.Container) string { return c.PodNamespace }, "io.kubernetes.pod.namespace")},
	{name: "k8s.pod.id", typ: filter.CharBuf, get: podStr(func(c *event.Container) string { return c.PodUID }, "io.kubernetes.pod.uid")},
	{name: "k8s.pod.uid", typ: filter.CharBuf, get: podStr(func(c *event.Container) string { return c.PodUID }, "io.kubernetes.pod.uid")},
	{name: "k8s.pod.sandbox_id", typ: filter.CharBuf, get: podKnown(containerStr(func(c *event.Container) string { return c.PodSandboxID[:min(12, len(c.PodSandboxID))] }))},
	{name: "k8s.pod.full_sandbox_id", typ: filter.CharBuf, get: podKnown(containerStr(func(c *event.Container) string { return c.PodSandboxID }))},
	{name: "k8s.pod.label", typ: filter.CharBuf, arg: reqDotKey, with: labelOf("k8s.pod.label", func(c *event.Container) map[string]string { return c.PodLabels })},
	{name: "k8s.pod.labels", typ: filter.CharBuf, get: podKnown(containerStr(func(c *event.Container) string { return labelsText(c.PodLabels) }))},
	{name: "k8s.pod.ip", typ: filter.CharBuf, unsupported: needsCRI},
	{name: "k8s.pod.cni.json", typ: filter.CharBuf, unsupported: needsCRI},
	// Falco 0.43 knows these names and has no value for them; its k8smeta plugin
	// has fields of its own.
	{name: "k8s.rc.name", typ: filter.CharBuf, get: never},
	{name: "k8s.rc.id", typ: filter.CharBuf, get: never},
	{name: "k8s.rc.label", typ: filter.CharBuf, arg: reqDotKey, with: noLabel},
	{name: "k8s.rc.labels", typ: filter.CharBuf, get: never},
	{name: "k8s.svc.name", typ: filter.CharBuf, get: never},
	{name: "k8s.svc.id", typ: filter.CharBuf, get: never},
	{name: "k8s.svc.label", typ: filter.CharBuf, arg: reqDotKey, with: noLabel},
	{name: "k8s.svc.labels", typ: filter.CharBuf, get: never},
	{name: "k8s.ns.id", typ: filter.CharBuf, get: never},
	{name: "k8s.ns.label", typ: filter.CharBuf, arg: reqDotKey, with: noLabel},
	{name: "k8s.ns.labels", typ: filter.CharBuf, get: never},
	{name: "k8s.rs.name", typ: filter.CharBuf, get: never},
	{name: "k8s.rs.id", typ: filter.CharBuf, get: never},
	{name: "k8s.rs.label", typ: filter.CharBuf, arg: reqDotKey, with: noLabel},
	{name: "k8s.rs.labels", typ: filter.CharBuf, get: never},
	{name: "k8s.deployment.name", typ: filter.CharBuf, get: never},
	{name: "k8s.deployment.id", typ: filter.CharBuf, get: never},
	{name: "k8s.deployment.label", typ: filter.CharBuf, arg: reqDotKey, with: noLabel},
	{name: "k8s.deployment.labels", typ: filter.CharBuf, get: never},
}

// container is that of the event's process, the host's when it runs there.
func container(e *event.Event) *event.Container {
	p := proc(e)
	if p == nil {
		return nil
	}
	if p.Container == nil {
		return hostContainer
	}
	return p.Container
}

// complete is the getter of what the runtime told of the container besides its
// id. Where it told nothing, there is no value, or it is not known.
func complete(f func(*event.Container, *filter.Value) bool) getter {
	return func(_ *Source, e *event.Event, v *filter.Value) bool {
		c := container(e)
		switch {
		case c == nil:
			return false
		case c.Complete:
			return f(c, v)
		case c.Unknown != event.Known:
			return unknown(v, c.Unknown)
		}
		return false
	}
}

func containerStr(f func(*event.Container) string) getter {
	return complete(func(c *event.Container, v *filter.Value) bool {
		v.Str = f(c)
		return true
	})
}

// containerName is containerStr for what another value may stand in for, where the
// engine cannot be asked: which name and image the container has seldom matters,
// but for rules that make exceptions for some.
func containerName(f func(*event.Container) string) getter {
	known := containerStr(f)
	return func(s *Source, e *event.Event, v *filter.Value) bool {
		if known(s, e, v) {
			return true
		}
		if c := container(e); v.Unknown != nil && f(c) != "" {
			v.Str, v.Unknown = f(c), standIns[c.Unknown]
		}
		return false
	}
}

func containerBool(f func(*event.Container) bool) getter {
	return complete(func(c *event.Container, v *filter.Value) bool {
		v.Num = 0
		if f(c) {
			v.Num = 1
		}
		return true
	})
}

// podKnown is the getter of what no container outside of Kubernetes has.
func podKnown(get getter) getter {
	return func(s *Source, e *event.Event, v *filter.Value) bool {
		if get(s, e, v) {
			return true
		}
		if c := container(e); v.Unknown != nil {
			return podUnknown(c, v)
		}
		return false
	}
}

// podUnknown tells that what is asked of the container's pod is not known. That
// there is no pod stands in, unless there is one.
func podUnknown(c *event.Container, v *filter.Value) bool {
	if c.PodNamespace != "" {
		return unknown(v, c.Unknown)
	}
	v.Unknown = noneStandIns[c.Unknown]
	return false
}

// podStr is text that a container outside of Kubernetes does not have.
func podStr(f func(*event.Container) string, label string) getter {
	get := func(c *event.Container, v *filter.Value) (ok bool) {
		if v.Str = f(c); v.Str != "" {
			return true
		}
		v.Str, ok = c.Labels[label]
		return ok
	}
	return func(_ *Source, e *event.Event, v *filter.Value) bool {
		c := container(e)
		switch {
		case c == nil:
			return false
		case get(c, v):
			return true
		case c.Complete || c.Unknown == event.Known:
			return false
		}
		return podUnknown(c, v)
	}
}

func orNone(s string) string {
	if s == "" {
		return "NONE"
	}
	return s
}

func mountText(m *event.Mount) string {
	return m.Source + ":" + m.Dest + ":" + m.Mode + ":" + strconv.FormatBool(m.RW) + ":" + m.Propagation
}

// mountField is one mount by number, or the first whose source (for
// container.mount.source: destination) matches. Falco searches for the argument
// as a regular expression, although it speaks of globs.
func mountField(name string, f func(*event.Mount) string) field {
	return field{name: name, typ: filter.CharBuf, arg: reqKey, with: func(_ *Source, arg argument, _ *filter.Field) (getter, error) {
		if !arg.brackets || arg.text == "" {
			return nil, fmt.Errorf("%s: want the number or the path of a mount in brackets: %s[/etc]", name, name)
		}
		if n, err := strconv.ParseUint(arg.text, 10, 31); err == nil {
			return mountStr(func(c *event.Container) *event.Mount {
				if n < uint64(len(c.Mounts)) {
					return &c.Mounts[n]
				}
				return nil
			}, f), nil
		}
		re, err := regexp.Compile("(?m)" + arg.text)
		if err != nil {
			return nil, fmt.Errorf("%s[%s]: not a regular expression: %w", name, arg.text, err)
		}
		return mountStr(func(c *event.Container) *event.Mount {
			for i := range c.Mounts {
				m := &c.Mounts[i]
				where := m.Source
				if name == "container.mount.source" {
					where = m.Dest
				}
				if re.MatchString(where) {
					return m
				}
			}
			return nil
		}, f), nil
	}}
}

func mountStr(find func(*event.Container) *event.Mount, f func(*event.Mount) string) getter {
	return complete(func(c *event.Container, v *filter.Value) bool {
		m := find(c)
		if m == nil {
			return false
		}
		v.Str = f(m)
		return true
	})
}

func labelOf(name string, labels func(*event.Container) map[string]string) func(*Source, argument, *filter.Field) (getter, error) {
	return func(_ *Source, arg argument, _ *filter.Field) (getter, error) {
		if arg.text == "" {
			return nil, fmt.Errorf("%s: want the name of a label: %s[app]", name, name)
		}
		return complete(func(c *event.Container, v *filter.Value) (ok bool) {
			v.Str, ok = labels(c)[arg.text]
			return ok
		}), nil
	}
}

func noLabel(*Source, argument, *filter.Field) (getter, error) { return never, nil }

func labelsText(labels map[string]string) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		if strings.HasPrefix(k, "annotation.") || strings.HasPrefix(k, "io.kubernetes.") {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		b.WriteString(k)
		if labels[k] != "" {
			b.WriteString(":" + labels[k])
		}
	}
	return b.String()
}

// probe tells whether the process, or an ancestor in the same container, runs
// the command of a health probe.
func probe(command func(*event.Container) string) getter {
	return ifKnown(engineUnknown, num(func(e *event.Event) (int64, bool) {
		p := proc(e)
		if p == nil {
			return 0, false
		}
		c := p.Container
		if c == nil || command(c) == "" {
			return 0, true
		}
		for ; p != nil && p.Container != nil && p.Container.ID == c.ID; p = p.Parent {
			if p.ExeLine() == command(c) || p.JoinedArgs() == "" && p.Exe == command(c) {
				return 1, true
			}
		}
		return 0, true
	}))
}

// engineUnknown is why it is not known what the engine knows of the process's
// container.
func engineUnknown(p *event.Process) event.Unknown {
	if c := p.Container; c != nil && !c.Complete {
		return c.Unknown
	}
	return event.Known
}
