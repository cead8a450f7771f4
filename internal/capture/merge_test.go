// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"bytes"
	"errors"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/falcotest/go-falcotest/internal/event"
)

// writtenLate is the recording of a part of what happened.
func writtenLate(t testing.TB, list []*event.Event) []byte {
	t.Helper()
	var out bytes.Buffer
	w := NewWriter(&out, WriterOptions{Late: true})
	for _, e := range list {
		if err := w.Event(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// another is an event of another process, like the first of the scenario's.
func another(pid, tid int64) *event.Event {
	e := scenario()[0].Clone()
	p := *e.Thread.Process
	p.PID, p.VPID, p.Comm, p.Exe = pid, pid, "other", "other"
	e.Thread = &event.Thread{TID: tid, VTID: tid, Process: &p}
	return e
}

// A process that is not seen to begin is in the tables, also one that comes late.
func TestLateProcesses(t *testing.T) {
	got := map[int64]string{}
	data := writtenLate(t, []*event.Event{scenario()[0], another(300, 300), another(300, 301)})
	if _, err := playAll(bytes.NewReader(data), func(e *event.Event) {
		p := e.Thread.Process
		got[e.Thread.TID] = p.Comm + " of " + p.Parent.Comm
	}); err != nil {
		t.Fatal(err)
	}
	want := map[int64]string{200: "cat of bash", 300: "other of bash", 301: "other of bash"}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// The threads of a process end when it executes a program, those in the tables too.
// One that began unseen after that is told of by an event.
func TestThreadsAfterExec(t *testing.T) {
	exec := another(300, 300)
	exec.Type, exec.Ret = event.SysExecve, 0
	exec.Params = make([]event.Param, len(event.SysExecve.Def().Params))
	for i, d := range event.SysExecve.Def().Params {
		switch d.Name {
		case "exe", "comm":
			exec.Params[i].Str = "other"
		case "tid", "pid":
			exec.Params[i].Num = 300
		case "ptid":
			exec.Params[i].Num = 100
		}
	}
	var types []string
	data := writtenLate(t, []*event.Event{exec, another(300, 301), another(300, 301)})
	events, err := playAll(bytes.NewReader(data), func(e *event.Event) {
		types = append(types, e.Type.String())
		if p := e.Thread.Process; p.PID != 300 || p.Comm != "other" {
			t.Errorf("%s of %d is by process %d %q", e.Type, e.Thread.TID, p.PID, p.Comm)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"execve", "clone", "openat", "openat"}, types); diff != "" {
		t.Errorf("of %d events (-want +got):\n%s", events, diff)
	}
}

// What an engine told of a container is in the recording, without secrets.
func TestContainerWritten(t *testing.T) {
	c := &event.Container{
		ID: "0123456789ab", FullID: "0123456789abcdef", Type: "docker", Name: "web", Image: "nginx:1", ImageID: "f00", Repository: "nginx", Tag: "1",
		Digest: "sha256:1", Privileged: true, HostPID: true, HostNetwork: true, IP: "172.17.0.2", Labels: map[string]string{"a": "b"},
		Env: []string{"PATH=/bin", "TOKEN=secret"}, Mounts: []event.Mount{{Source: "/etc", Dest: "/host", Mode: "ro", Propagation: "rprivate"}},
		Healthcheck: "curl -f localhost", PodSandboxID: "77", PodLabels: map[string]string{"app": "web"}, Complete: true,
	}
	inside := another(300, 300)
	inside.Thread.Process.Container = c
	inside.Thread.Process.Cgroups = []string{"cpuset=/docker/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}
	c.FullID = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	data := writtenLate(t, []*event.Event{inside, inside})
	if bytes.Contains(unzipped(t, data), []byte("secret")) {
		t.Error("a secret of the container's environment was recorded")
	}
	var got *event.Container
	if _, err := playAll(bytes.NewReader(data), func(e *event.Event) {
		if e.Thread != nil {
			got = e.Thread.Process.Container
		}
	}); err != nil {
		t.Fatal(err)
	}
	want := *c
	want.Env = []string{"PATH=/bin", "TOKEN="}
	if diff := cmp.Diff(&want, got, cmpopts.IgnoreUnexported(event.Container{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMerge(t *testing.T) {
	m := NewMerger()
	first, second := writtenLate(t, scenario()), writtenLate(t, []*event.Event{another(300, 300)})
	for _, data := range [][]byte{first, second} {
		if err := m.Add(bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Add(bytes.NewReader(second)); !errors.Is(err, ErrSameThread) {
		t.Errorf("the same thread twice: %v", err)
	}
	var out bytes.Buffer
	if _, err := m.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	count := func(data []byte) uint64 {
		n, err := playAll(bytes.NewReader(data), func(e *event.Event) {
			if e.Thread != nil && (e.Thread.Process.Parent == nil || e.Thread.Process.Parent.Comm != "bash") {
				t.Errorf("event %d of %d has no parent", e.Num, e.TID)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if got, want := count(out.Bytes()), count(first)+count(second); got != want {
		t.Errorf("%d events, want %d", got, want)
	}
}

func FuzzMerge(f *testing.F) {
	f.Add(written(f, scenario()))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := NewMerger()
		_ = m.Add(bytes.NewReader(data))
		_ = m.Add(bytes.NewReader(data))
		if _, err := m.WriteTo(&bytes.Buffer{}); err != nil {
			t.Error(err)
		}
	})
}
