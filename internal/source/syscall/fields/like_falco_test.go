// SPDX-License-Identifier: Apache-2.0

package fields

import (
	"strconv"
	"strings"
	"testing"

	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/filter"
)

// valueOf reads a field as an output prints it; false when it has no value.
func valueOf(t *testing.T, name string, e *event.Event) (string, bool) {
	t.Helper()
	name, arg, hasArg := strings.Cut(name, "[")
	if hasArg {
		arg = strings.TrimSuffix(arg, "]")
	}
	f, err := New().Field(name, arg, hasArg)
	if err != nil {
		t.Fatal(err)
	}
	var v filter.Value
	if !f.Get(e, &v) {
		return "", false
	}
	if f.Format != nil {
		return f.Format(e, &v), true
	}
	switch f.Type {
	case filter.Bool:
		return strconv.FormatBool(v.Num != 0), true
	case filter.Double:
		return strconv.FormatFloat(v.Float, 'g', -1, 64), true
	case filter.Int64, filter.Uint64, filter.RelTime:
		return strconv.FormatInt(v.Num, 10), true
	}
	return v.Str, true
}

// open is an open of a path by cat, successful, as descriptor 3.
func open(path string) (*event.Event, *event.Process) {
	p := &event.Process{PID: 200, VPID: 200, Comm: "cat", Exe: "cat", Cwd: "/root", FDs: map[int64]*event.FD{}}
	p.FDs[3] = &event.FD{Num: 3, Type: event.FDFile, Name: path, NameRaw: path}
	return &event.Event{
		Type: event.SysOpenat, Ret: 3, Thread: &event.Thread{TID: 200, VTID: 200, Process: p}, FD: p.FDs[3], FDNum: 3, HasFD: true,
		Params: []event.Param{{Num: 3}, {Num: -100}, {Str: path}, {}, {}, {}, {}},
	}, p
}

// evt.abspath of a relative path in a directory makes that the descriptor of the
// event, as in Falco 0.43; its argument is still what the call opened.
func TestAbsPathChangesTheDescriptor(t *testing.T) {
	e, p := open("passwd")
	p.FDs[9] = &event.FD{Num: 9, Type: event.FDDirectory, Name: "/etc"}
	e.Params[1].Num = 9
	e.Params[2] = event.Param{Str: "passwd"}
	e.FD.Name = "/etc/passwd"
	for _, want := range []struct{ field, value string }{
		{"fd.name", "/etc/passwd"}, {"evt.abspath", "/etc/passwd"}, {"fd.name", "/etc"}, {"evt.arg[0]", "<f>/etc/passwd"},
	} {
		if got, ok := valueOf(t, want.field, e); !ok || got != want.value {
			t.Errorf("%s is %q (%v), want %q", want.field, got, ok, want.value)
		}
	}
}

// A path in a directory that nobody knows, and a path that is not there to read.
func TestPathsOfFailedOpens(t *testing.T) {
	e, _ := open("passwd")
	e.FD, e.FDNum, e.Ret = nil, -1, -9
	e.Params[1].Num, e.Params[2] = 77, event.Param{Str: "passwd"}
	for field, want := range map[string]string{"fd.name": "<UNKNOWN>passwd", "evt.abspath": "<UNKNOWN>/passwd"} {
		if got, _ := valueOf(t, field, e); got != want {
			t.Errorf("%s is %q, want %q", field, got, want)
		}
	}
	e.Params[2] = event.Param{Str: "<NA>", Null: true}
	for _, field := range []string{"fd.name", "evt.abspath"} {
		if got, ok := valueOf(t, field, e); ok {
			t.Errorf("%s is %q, want no value", field, got)
		}
	}
	if got, _ := valueOf(t, "fs.path.name", e); got != "<UNKNOWN>" {
		t.Errorf("fs.path.name is %q", got)
	}
}

// Of a call that returns a process or a size, evt.res is the number of the error.
func TestResultOfClone(t *testing.T) {
	e := &event.Event{Type: event.SysProcessVmReadv, Ret: -1, Params: []event.Param{{Num: -1}}}
	if got, _ := valueOf(t, "evt.res", e); got != "-1" {
		t.Errorf("evt.res of process_vm_readv is %q", got)
	}
	e = &event.Event{Type: event.SysClone3, Ret: -22, Params: []event.Param{{Num: -22}}}
	if got, _ := valueOf(t, "evt.res", e); got != "-22" {
		t.Errorf("evt.res of clone3 is %q", got)
	}
	e = &event.Event{Type: event.SysUnlink, Ret: -2, Params: []event.Param{{Num: -2}}}
	if got, _ := valueOf(t, "evt.res", e); got != "ENOENT" {
		t.Errorf("evt.res of unlink is %q", got)
	}
}

// An open that failed changes no name, also where evt.abspath took another descriptor.
func TestNoNameOfFailedOpen(t *testing.T) {
	e, _ := open("/etc/passwd")
	for ret, want := range map[int64]string{3: "true", -2: "false"} {
		if e.Ret = ret; ret < 0 {
			e.FD = &event.FD{Type: event.FDDirectory, Name: "/etc"}
		}
		if got, ok := valueOf(t, "fd.name_changed", e); !ok || got != want {
			t.Errorf("of an open that returned %d, fd.name_changed is %q (%v), want %q", ret, got, ok, want)
		}
	}
}

// Of a recorded process, the creator and the descriptors of the main thread are those
// that the recording tells, and none where it tells none.
func TestRecordedProcess(t *testing.T) {
	e, p := open("./passwd")
	e.Params[2].Str = "passwd"
	p.Parent = &event.Process{PID: 100, VPID: 100, StartTime: 7}
	p.Recorded, p.FDLimit, p.MainFDs = true, 10, 2
	check := func(want map[string]string) {
		t.Helper()
		for field, want := range want {
			got, ok := valueOf(t, field, e)
			if ok != (want != "<NA>") || ok && got != want {
				t.Errorf("%s is %q (%v), want %q", field, got, ok, want)
			}
		}
	}
	check(map[string]string{
		"proc.pvpid": "<NA>", "proc.ppid.ts": "<NA>", "proc.ppid": "100",
		"proc.fdopencount": "2", "proc.fdusage": "20", "fs.path.name": "passwd", "fd.name": "./passwd",
	})
	p.Creator, p.Parent = &event.Process{PID: 101, VPID: 5, StartTime: 8}, nil
	check(map[string]string{"proc.pvpid": "5", "proc.ppid.ts": "8", "proc.ppid": "<NA>"})
	p.Parent = &event.Process{PID: 100, VPID: 100} // of which Falco does not know since when it runs
	check(map[string]string{"proc.ppid.duration": "2"})
}

// named is a machine on which each process has the same name.
type named struct {
	event.World
	name string
}

func (n named) Process(int64, event.ProcessText) (string, bool) { return n.name, true }

// Of a thread in a pid namespace, the leader of its session is one of its ancestors, or
// not known, even if it is its own process.
func TestLeaderOfThreadInNamespace(t *testing.T) {
	p := &event.Process{PID: 200, VPID: 1, SID: 200, VSID: 200, Comm: "worker", Recorded: true}
	e := &event.Event{Type: event.SysUnshare, World: named{name: "main"}, Thread: &event.Thread{TID: 201, VTID: 12, Process: p}}
	if got, ok := valueOf(t, "proc.sname", e); !ok || got != "" {
		t.Errorf("in a pid namespace, proc.sname is %q", got)
	}
	e.Thread.VTID = 201
	if got, _ := valueOf(t, "proc.sname", e); got != "main" {
		t.Errorf("on the host, proc.sname is %q", got)
	}
}

// What is longer than Falco's buffer for paths is told by a text in its place.
func TestLongPath(t *testing.T) {
	long := "/" + string(make([]byte, 1100))
	if got := event.JoinPath("/tmp", long); got != "/DIR_TOO_LONG/FILENAME_TOO_LONG" {
		t.Errorf("got %.40q…", got)
	}
}

// Time is counted from the beginning of the recording, whatever was seen before.
func TestRelativeTime(t *testing.T) {
	s := New()
	s.Observe(&event.Event{Time: 1})
	if got := s.firstEvent(&event.Event{Time: 1000, Start: 900}); got != 900 {
		t.Errorf("the first event was at %d", got)
	}
}

// A recording's meta events before its first event are counted from the epoch on, as
// nothing has begun yet.
func TestTimeBeforeTheFirstEvent(t *testing.T) {
	if got := New().firstEvent(&event.Event{Time: 1000, Start: -1}); got != 0 {
		t.Errorf("the first event was at %d", got)
	}
}

// Session 0 is that of a leader outside of the PID namespace: the oldest ancestor in
// it stands in for it. Of a process that is not known there is nothing to tell.
func TestLeadersAndUnknownProcesses(t *testing.T) {
	parent := &event.Process{PID: 1, VPID: 1, Comm: "sh"}
	e, p := open("x")
	p.Parent = parent
	if got, _ := valueOf(t, "proc.sname", e); got != "sh" {
		t.Errorf("proc.sname is %q", got)
	}
	p.PID, p.VPID, e.Thread.VTID = -1, -1, -1
	for _, field := range []string{"proc.vpid", "thread.vtid"} {
		if got, ok := valueOf(t, field, e); ok {
			t.Errorf("%s is %q", field, got)
		}
	}
	if n := openCount(p); n != 0 {
		t.Errorf("it has %d descriptors", n)
	}
}
