// SPDX-License-Identifier: Apache-2.0

package fields

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/filter"
)

var procFields = []field{
	{name: "proc.exe", typ: filter.CharBuf, get: procStr(func(p *event.Process) string { return p.Exe })},
	{name: "proc.pexe", typ: filter.CharBuf, get: parentStr(isKnown, func(p *event.Process) string { return p.Exe })},
	ancestors("proc.aexe", isKnown, func(p *event.Process) string { return p.Exe }),
	{name: "proc.exepath", typ: filter.CharBuf, get: ifKnown(exeUnknown, procStr(func(p *event.Process) string { return p.ExePath }))},
	{name: "proc.pexepath", typ: filter.CharBuf, get: parentStr(exeUnknown, func(p *event.Process) string { return p.ExePath })},
	ancestors("proc.aexepath", exeUnknown, func(p *event.Process) string { return p.ExePath }),
	{name: "proc.name", typ: filter.CharBuf, get: procStr(func(p *event.Process) string { return p.Comm })},
	{name: "proc.pname", typ: filter.CharBuf, get: parentStr(isKnown, func(p *event.Process) string { return p.Comm })},
	ancestors("proc.aname", isKnown, func(p *event.Process) string { return p.Comm }),
	{name: "proc.args", typ: filter.CharBuf, arg: optIndex, with: procArgs},
	{name: "proc.aargs", typ: filter.CharBuf, arg: optIndex, with: ancestorArgs},
	{name: "proc.cmdline", typ: filter.CharBuf, get: procStr((*event.Process).Cmdline)},
	{name: "proc.pcmdline", typ: filter.CharBuf, get: parentStr(isKnown, (*event.Process).Cmdline)},
	ancestors("proc.acmdline", isKnown, (*event.Process).Cmdline),
	{name: "proc.cmdnargs", typ: filter.Uint64, get: procNum(func(p *event.Process) int64 { return int64(len(p.Args)) })},
	{name: "proc.cmdlenargs", typ: filter.Uint64, get: procNum(func(p *event.Process) int64 {
		n := 0
		for _, a := range p.Args {
			n += len(a)
		}
		return int64(n)
	})},
	{name: "proc.exeline", typ: filter.CharBuf, get: procStr((*event.Process).ExeLine)},
	{name: "proc.env", typ: filter.CharBuf, arg: optKey, with: env},
	{name: "proc.aenv", typ: filter.CharBuf, arg: optKey, with: ancestorEnv, any: true, noRight: true, noTran: true, single: ifKnown(envUnknown, procStr((*event.Process).JoinedEnv))},
	{name: "proc.cwd", typ: filter.CharBuf, get: ifKnown(cwdUnknown, procStr((*event.Process).CwdSlash))},
	{name: "proc.loginshellid", typ: filter.Int64, get: ifKnown(lineUnknown, num(func(e *event.Event) (int64, bool) {
		id, ok := int64(0), false
		for p := proc(e); p != nil; p = p.Parent {
			if strings.HasSuffix(p.Comm, "sh") {
				id, ok = p.PID, true
			}
		}
		return id, ok
	}))},
	{name: "proc.tty", typ: filter.Uint32, get: procNum(func(p *event.Process) int64 { return int64(p.TTY) })},
	{name: "proc.pid", typ: filter.Int64, get: procNum(func(p *event.Process) int64 { return p.PID })},
	{name: "proc.ppid", typ: filter.Int64, get: ancestorNum(1, func(p *event.Process) int64 { return p.PID })},
	{name: "proc.apid", typ: filter.Int64, arg: optIndex, any: true, noRight: true, noTran: true, single: never, with: ancestorPID},
	{name: "proc.vpid", typ: filter.Int64, get: procID(func(e *event.Event) int64 { return proc(e).VPID })},
	{name: "proc.pvpid", typ: filter.Int64, get: creatorNum(func(p *event.Process) int64 { return p.VPID })},
	{name: "proc.sid", typ: filter.Int64, get: procNum(func(p *event.Process) int64 { return p.SID })},
	{name: "proc.sname", typ: filter.CharBuf, get: leader(sid, event.TextComm, true)},
	{name: "proc.sid.exe", typ: filter.CharBuf, get: leader(sid, event.TextExe, true)},
	{name: "proc.sid.exepath", typ: filter.CharBuf, get: leader(sid, event.TextExePath, true)},
	{name: "proc.vpgid", typ: filter.Int64, get: procNum(vpgid)},
	{name: "proc.vpgid.name", typ: filter.CharBuf, get: leader(vpgid, event.TextComm, true)},
	{name: "proc.vpgid.exe", typ: filter.CharBuf, get: leader(vpgid, event.TextExe, true)},
	{name: "proc.vpgid.exepath", typ: filter.CharBuf, get: leader(vpgid, event.TextExePath, true)},
	{name: "proc.pgid", typ: filter.Int64, get: procNum(pgid)},
	{name: "proc.pgid.name", typ: filter.CharBuf, get: leader(pgid, event.TextComm, false)},
	{name: "proc.pgid.exe", typ: filter.CharBuf, get: leader(pgid, event.TextExe, false)},
	{name: "proc.pgid.exepath", typ: filter.CharBuf, get: leader(pgid, event.TextExePath, false)},
	{name: "proc.duration", typ: filter.RelTime, get: since(0)},
	{name: "proc.ppid.duration", typ: filter.RelTime, get: parentDuration},
	{name: "proc.pid.ts", typ: filter.RelTime, get: procSet(cloneTime)},
	{name: "proc.ppid.ts", typ: filter.RelTime, get: creatorNum(cloneTime)},
	{name: "proc.is_exe_writable", typ: filter.Bool, get: ifKnown(exeUnknown, procBool(func(p *event.Process) bool { return p.ExeWritable }))},
	{name: "proc.is_exe_upper_layer", typ: filter.Bool, get: ifKnown(layerUnknown, procBool(func(p *event.Process) bool { return p.ExeUpperLayer }))},
	{name: "proc.is_exe_lower_layer", typ: filter.Bool, get: ifKnown(layerUnknown, procBool(func(p *event.Process) bool { return p.ExeLowerLayer }))},
	{name: "proc.is_exe_from_memfd", typ: filter.Bool, get: ifKnown(exeUnknown, procBool(func(p *event.Process) bool { return p.ExeFromMemfd }))},
	{name: "proc.is_sid_leader", typ: filter.Bool, get: procBool(func(p *event.Process) bool { return sid(p) == p.VPID })},
	{name: "proc.is_vpgid_leader", typ: filter.Bool, get: procBool(func(p *event.Process) bool { return p.VPGID == p.VPID })},
	{name: "proc.is_pgid_leader", typ: filter.Bool, get: procBool(func(p *event.Process) bool { return p.PGID == p.PID })},
	{name: "proc.exe_ino", typ: filter.Int64, get: ifKnown(exeUnknown, procSet(func(p *event.Process) int64 { return int64(p.ExeIno) }))},
	{name: "proc.exe_ino.ctime", typ: filter.AbsTime, get: ifKnown(exeUnknown, procSet(func(p *event.Process) int64 { return p.ExeCtime }))},
	{name: "proc.exe_ino.mtime", typ: filter.AbsTime, get: ifKnown(exeUnknown, procSet(func(p *event.Process) int64 { return p.ExeMtime }))},
	{name: "proc.exe_ino.ctime_duration_proc_start", typ: filter.AbsTime, get: ifKnown(exeUnknown, procSet(ctimeBeforeClone))},
	{name: "proc.exe_ino.ctime_duration_pidns_start", typ: filter.AbsTime, get: ifKnown(exeUnknown, procSet(ctimeAfterPidns))},
	{name: "proc.pidns_init_start_ts", typ: filter.Uint64, get: procSet(func(p *event.Process) int64 { return p.PidnsInitStart })},
	{name: "thread.cap_permitted", typ: filter.CharBuf, get: procStr(func(p *event.Process) string { return capNames(p.CapPermitted) })},
	{name: "thread.cap_inheritable", typ: filter.CharBuf, get: procStr(func(p *event.Process) string { return capNames(p.CapInheritable) })},
	{name: "thread.cap_effective", typ: filter.CharBuf, get: procStr(func(p *event.Process) string { return capNames(p.CapEffective) })},
	{name: "proc.fdopencount", typ: filter.Uint64, get: ifKnown(fdsUnknown, procNum(openCount))},
	{name: "proc.fdlimit", typ: filter.Int64, get: procNum(func(p *event.Process) int64 { return p.FDLimit })},
	{name: "proc.fdusage", typ: filter.Double, get: func(_ *Source, e *event.Event, v *filter.Value) bool {
		p := proc(e)
		if p == nil {
			return false
		}
		v.Float = 0
		if p.FDLimit > 0 {
			v.Float = min(100, float64(openCount(p))*100/float64(p.FDLimit))
		}
		return true
	}},
	{name: "proc.vmsize", typ: filter.Uint64, get: procNum(func(p *event.Process) int64 { return int64(p.VMSize) })},
	{name: "proc.vmrss", typ: filter.Uint64, get: procNum(func(p *event.Process) int64 { return int64(p.VMRSS) })},
	{name: "proc.vmswap", typ: filter.Uint64, get: procNum(func(p *event.Process) int64 { return int64(p.VMSwap) })},
	{name: "thread.pfmajor", typ: filter.Uint64, get: threadNum(func(t *event.Thread) int64 { return int64(t.PFMajor) })},
	{name: "thread.pfminor", typ: filter.Uint64, get: threadNum(func(t *event.Thread) int64 { return int64(t.PFMinor) })},
	{name: "thread.tid", typ: filter.Int64, get: num(func(e *event.Event) (int64, bool) {
		if e.Thread != nil {
			return e.Thread.TID, true
		}
		return e.TID, e.TID != 0 && e.TID >= -1 && e.TID < 1<<32
	})},
	{name: "thread.ismain", typ: filter.Bool, get: func(_ *Source, e *event.Event, v *filter.Value) bool {
		v.Num = 0
		if isMain(e) {
			v.Num = 1
		}
		return proc(e) != nil
	}},
	{name: "thread.vtid", typ: filter.Int64, get: procID(func(e *event.Event) int64 { return e.Thread.VTID })},
	// Falco counts these from switch events, which it does not ask for unless a
	// rule names them; nor does the built-in engine see them.
	{name: "thread.exectime", typ: filter.RelTime, get: zero},
	{name: "thread.totexectime", typ: filter.RelTime, get: threadNum(func(*event.Thread) int64 { return 0 })},
	{name: "thread.cgroups", typ: filter.CharBuf, get: str(func(e *event.Event) (string, bool) {
		p := proc(e)
		if p == nil || len(p.Cgroups) == 0 {
			return "", false
		}
		var b strings.Builder
		for i, c := range p.Cgroups {
			if i > 0 {
				b.WriteByte(' ')
			}
			subsys, path := splitCgroup(c)
			b.WriteString(subsys + "=" + path)
		}
		return b.String(), true
	})},
	{name: "thread.cgroup", typ: filter.CharBuf, arg: reqName, with: cgroup},
	{name: "proc.nthreads", typ: filter.Uint64, get: procNum(func(p *event.Process) int64 { return int64(p.Threads) })},
	{name: "proc.nchilds", typ: filter.Uint64, get: procNum(followers)},
	// Falco tells these for procinfo events only, which it no longer makes.
	{name: "thread.cpu", typ: filter.Double, get: procinfoCPU},
	{name: "thread.cpu.user", typ: filter.Double, get: procinfoCPU},
	{name: "thread.cpu.system", typ: filter.Double, get: procinfoCPU},
	{name: "thread.vmsize", typ: filter.Uint64, get: mainThread(func(p *event.Process) int64 { return int64(p.VMSize) })},
	{name: "thread.vmrss", typ: filter.Uint64, get: mainThread(func(p *event.Process) int64 { return int64(p.VMRSS) })},
	{name: "proc.stdin.type", typ: filter.CharBuf, get: stdType(0)},
	{name: "proc.stdout.type", typ: filter.CharBuf, get: stdType(1)},
	{name: "proc.stderr.type", typ: filter.CharBuf, get: stdType(2)},
	{name: "proc.stdin.name", typ: filter.CharBuf, get: stdName(0)},
	{name: "proc.stdout.name", typ: filter.CharBuf, get: stdName(1)},
	{name: "proc.stderr.name", typ: filter.CharBuf, get: stdName(2)},
}

// followers are the threads that are not the main one.
func followers(p *event.Process) int64 {
	if p.Threads == 0 || p.LeaderGone {
		return int64(p.Threads)
	}
	return int64(p.Threads - 1)
}

func ctimeBeforeClone(p *event.Process) int64 {
	if p.Recorded {
		return p.CtimeBeforeClone
	}
	return after(p.CloneTime, p.ExeCtime)
}

func ctimeAfterPidns(p *event.Process) int64 {
	switch {
	case p.Recorded:
		return p.CtimeAfterPidns
	case p.PID == p.VPID:
		return 0 // Falco tells it in other pid namespaces only
	}
	return after(p.ExeCtime, p.PidnsInitStart)
}

// creatorNum is for what Falco asks of the thread that made the process, where
// it asks the process for the rest.
func creatorNum(f func(*event.Process) int64) getter {
	return func(_ *Source, e *event.Event, v *filter.Value) bool {
		p := proc(e)
		if p == nil {
			return false
		}
		if p.Recorded {
			p = p.Creator
		} else {
			p = ancestor(e, 1, v)
		}
		if p == nil {
			return false
		}
		v.Num = f(p)
		return true
	}
}

func procStr(f func(*event.Process) string) getter {
	return func(_ *Source, e *event.Event, v *filter.Value) bool {
		p := proc(e)
		if p == nil {
			return false
		}
		v.Str = f(p)
		return true
	}
}

func parentStr(member func(*event.Process) event.Unknown, f func(*event.Process) string) getter {
	return ancestorStr(1, member, f)
}

func ancestorStr(n int, member func(*event.Process) event.Unknown, f func(*event.Process) string) getter {
	return func(_ *Source, e *event.Event, v *filter.Value) bool {
		p := ancestor(e, n, v)
		if p == nil {
			return false
		}
		if why := member(p); why != event.Known {
			return unknown(v, why)
		}
		v.Str = f(p)
		return true
	}
}

func procNum(f func(*event.Process) int64) getter {
	return func(_ *Source, e *event.Event, v *filter.Value) bool {
		p := proc(e)
		if p == nil {
			return false
		}
		v.Num = f(p)
		return true
	}
}

// procSet is for numbers whose zero means that there is none.
func procSet(f func(*event.Process) int64) getter {
	return func(_ *Source, e *event.Event, v *filter.Value) bool {
		p := proc(e)
		if p == nil {
			return false
		}
		v.Num = f(p)
		return v.Num != 0
	}
}

func procBool(f func(*event.Process) bool) getter {
	return func(_ *Source, e *event.Event, v *filter.Value) bool {
		p := proc(e)
		if p == nil {
			return false
		}
		v.Num = 0
		if f(p) {
			v.Num = 1
		}
		return true
	}
}

func threadNum(f func(*event.Thread) int64) getter {
	return func(_ *Source, e *event.Event, v *filter.Value) bool {
		if e.Thread == nil {
			return false
		}
		v.Num = f(e.Thread)
		return true
	}
}

func isMain(e *event.Event) bool {
	p := proc(e)
	return p != nil && e.Thread.TID == p.PID
}

// mainThread is for what Falco attributes to the main thread of a process; the
// other threads have zero.
func mainThread(f func(*event.Process) int64) getter {
	return func(_ *Source, e *event.Event, v *filter.Value) bool {
		p := proc(e)
		if p == nil {
			return false
		}
		v.Num = 0
		if isMain(e) {
			v.Num = f(p)
		}
		return true
	}
}

func ancestorNum(n int, f func(*event.Process) int64) getter {
	return func(_ *Source, e *event.Event, v *filter.Value) bool {
		p := ancestor(e, n, v)
		if p == nil {
			return false
		}
		v.Num = f(p)
		return true
	}
}

// ancestors is a field that, with an index, is the text of that ancestor, and
// without one stands for all ancestors: a check holds when it does for any.
func ancestors(name string, member func(*event.Process) event.Unknown, f func(*event.Process) string) field {
	return field{name: name, typ: filter.CharBuf, arg: optIndex, any: true, noRight: true, noTran: true, single: never,
		with: func(_ *Source, arg argument, fd *filter.Field) (getter, error) {
			if !arg.has {
				return func(_ *Source, e *event.Event, v *filter.Value) bool {
					return eachAncestor(e, v, member, func(p *event.Process) filter.Value { return filter.Value{Str: f(p)} })
				}, nil
			}
			n, err := ancestorIndex(name, arg)
			if err != nil {
				return nil, err
			}
			fd.Any = false
			return ancestorStr(n, member, f), nil
		}}
}

func ancestorIndex(name string, arg argument) (int, error) {
	n, ok := arg.index()
	if !ok || n < 0 || !arg.brackets {
		return 0, fmt.Errorf("%s[%s]: want the number of an ancestor: 1 is the parent, 2 the grandparent", name, arg.text)
	}
	return int(n), nil
}

func ancestorPID(_ *Source, arg argument, f *filter.Field) (getter, error) {
	if !arg.has {
		return func(_ *Source, e *event.Event, v *filter.Value) bool {
			return eachAncestor(e, v, isKnown, func(p *event.Process) filter.Value { return filter.Value{Num: p.PID} })
		}, nil
	}
	n, err := ancestorIndex("proc.apid", arg)
	if err != nil {
		return nil, err
	}
	f.Any = false
	return ancestorNum(n, func(p *event.Process) int64 { return p.PID }), nil
}

func procArgs(_ *Source, arg argument, _ *filter.Field) (getter, error) {
	if !arg.has {
		return procStr((*event.Process).JoinedArgs), nil
	}
	n, ok := arg.index()
	if !ok || !arg.brackets {
		return nil, fmt.Errorf("proc.args[%s]: want the number of an argument: 0 is the first after argv[0]", arg.text)
	}
	if n < 0 {
		return procStr((*event.Process).JoinedArgs), nil
	}
	return procStr(func(p *event.Process) string {
		if int(n) < len(p.Args) {
			return p.Args[n]
		}
		return ""
	}), nil
}

func ancestorArgs(_ *Source, arg argument, _ *filter.Field) (getter, error) {
	if !arg.has {
		return never, nil // Falco finds no ancestor for it
	}
	n, err := ancestorIndex("proc.aargs", arg)
	if err != nil {
		return nil, err
	}
	return ancestorStr(n, isKnown, (*event.Process).JoinedArgs), nil
}

// env is proc.env: the whole environment, or one variable, which is empty when
// it is not set. A number in brackets is no variable to Falco.
func env(_ *Source, arg argument, _ *filter.Field) (getter, error) {
	if arg.has && !arg.brackets {
		return nil, fmt.Errorf("proc.env.%s: write proc.env[%s]", arg.text, arg.text)
	}
	if _, number := arg.index(); !arg.has || number || arg.text == "" {
		return ifKnown(envUnknown, procStr((*event.Process).JoinedEnv)), nil
	}
	return ifKnown(envUnknown, procStr(func(p *event.Process) string { return p.Getenv(arg.text) })), nil
}

// ancestorEnv is proc.aenv: any ancestor's environment, the environment of the
// nth, or the variable of the nearest ancestor that has it (not of the process
// itself).
func ancestorEnv(_ *Source, arg argument, f *filter.Field) (getter, error) {
	if arg.has && !arg.brackets {
		return nil, fmt.Errorf("proc.aenv.%s: write proc.aenv[%s]", arg.text, arg.text)
	}
	if n, number := arg.index(); !arg.has || number || arg.text == "" {
		// Falco compares any ancestor's environment, whatever the number, and
		// prints that of the one with the number.
		if n > 0 {
			f.Output = nthEnv(int(n))
		}
		return func(_ *Source, e *event.Event, v *filter.Value) bool {
			return eachAncestor(e, v, envUnknown, func(p *event.Process) filter.Value { return filter.Value{Str: p.JoinedEnv()} })
		}, nil
	}
	f.Any = false
	const levels = 20 // as far as Falco looks
	return func(_ *Source, e *event.Event, v *filter.Value) bool {
		p := proc(e)
		if p == nil {
			return false
		}
		for i := 0; i < levels && p.Parent != nil; i++ {
			p = p.Parent
			if p.Unknown.Env != event.Known {
				return unknown(v, p.Unknown.Env)
			}
			if v.Str = p.Getenv(arg.text); v.Str != "" {
				return true
			}
		}
		if p.Parent == nil && p.Unknown.Parent != event.Known {
			return unknown(v, p.Unknown.Parent)
		}
		return true
	}, nil
}

// nthEnv prints the environment of the nth ancestor.
func nthEnv(n int) func(any, *filter.Value) bool {
	return func(ev any, v *filter.Value) bool {
		e, ok := ev.(*event.Event)
		if !ok {
			return false
		}
		p := proc(e).Ancestor(n)
		if p == nil {
			return false
		}
		v.Str = p.JoinedEnv()
		return true
	}
}

func cgroup(_ *Source, arg argument, _ *filter.Field) (getter, error) {
	if arg.brackets || arg.text == "" {
		return nil, fmt.Errorf("thread.cgroup takes the name of a subsystem after a dot: thread.cgroup.cpu")
	}
	return str(func(e *event.Event) (string, bool) {
		p := proc(e)
		if p == nil {
			return "", false
		}
		for _, c := range p.Cgroups {
			if subsys, path := splitCgroup(c); subsys == arg.text {
				return path, true
			}
		}
		return "", false
	}), nil
}

// splitCgroup splits "cpu=/path" and gives subsystems the names that Falco
// knows them by.
func splitCgroup(c string) (subsys, path string) {
	subsys, path, _ = strings.Cut(c, "=")
	switch subsys = strings.TrimSuffix(subsys, "_cgroup"); subsys {
	case "io":
		subsys = "blkio"
	case "mem":
		subsys = "memory"
	case "perf":
		subsys = "perf_event"
	}
	return subsys, path
}

func sid(p *event.Process) int64 {
	if p.VSID != 0 {
		return p.VSID
	}
	return p.SID
}

func vpgid(p *event.Process) int64 { return p.VPGID }
func pgid(p *event.Process) int64  { return p.PGID }

func cloneTime(p *event.Process) int64 {
	if p.StartTime != 0 {
		return p.StartTime
	}
	return p.CloneTime
}

// after is the time from a to b where both are known and in that order.
func after(b, a int64) int64 {
	if a == 0 || b == 0 || b < a {
		return 0
	}
	return b - a
}

// procinfoCPU is the processor time between two procinfo events of a thread,
// which are in old recordings only. Falco counts it anew with each field that is
// asked for, so that it is zero as good as always.
func procinfoCPU(_ *Source, e *event.Event, v *filter.Value) bool {
	v.Float = 0
	return e.Type == event.EvtProcinfo && e.Thread != nil
}

// parentDuration: where Falco does not know since when the parent runs, it tells
// how many descriptors the process has open.
func parentDuration(s *Source, e *event.Event, v *filter.Value) bool {
	p := proc(e)
	if p == nil || p.Parent == nil {
		return false
	}
	if cloneTime(p.Parent) == 0 {
		v.Num = openCount(p)
		return true
	}
	return since(1)(s, e, v)
}

func since(n int) getter {
	return func(_ *Source, e *event.Event, v *filter.Value) bool {
		p := ancestor(e, n, v)
		if p == nil || cloneTime(p) == 0 {
			return false
		}
		v.Num = e.Time - cloneTime(p)
		return true
	}
}

// inPidNamespace: Falco looks at the thread, of which a recording may not tell it.
func inPidNamespace(t *event.Thread) bool {
	if t.Process.Recorded {
		return t.VTID >= 0 && t.VTID != t.TID
	}
	return t.Process.VPID != t.Process.PID
}

// leader is the text of the leader of a session or process group: the process
// with that id, or else the oldest of the ancestors in unbroken line that are
// in it. It is empty when there is none.
func leader(id func(*event.Process) int64, what event.ProcessText, virtual bool) getter {
	text := func(p *event.Process) string {
		switch what {
		case event.TextExe:
			return p.Exe
		case event.TextExePath:
			return p.ExePath
		}
		return p.Comm
	}
	return func(_ *Source, e *event.Event, v *filter.Value) bool {
		p := proc(e)
		if p == nil {
			return false
		}
		v.Str = ""
		want := id(p)
		if want <= 0 {
			if why := lineUnknown(p); why != event.Known {
				return unknown(v, why) // in a PID namespace of its own, and led from outside
			}
		}
		if want < 0 {
			return true
		}
		virtual := virtual && inPidNamespace(e.Thread)
		if !virtual && want == p.PID && e.Thread.TID != p.PID { // a thread need not be named like its process
			if t, ok := e.Machine().Process(want, what); ok {
				v.Str = t
				return true
			}
		}
		if !virtual {
			for q := p; q != nil; q = q.Parent {
				if q.PID == want {
					if what == event.TextExePath && q.Unknown.Exe != event.Known {
						return unknown(v, q.Unknown.Exe)
					}
					v.Str = text(q)
					return true
				}
			}
			if t, ok := e.Machine().Process(want, what); ok {
				v.Str = t
				return true
			}
		}
		for q := p.Parent; q != nil && id(q) == want; q = q.Parent {
			v.Str = text(q)
		}
		return true
	}
}

// procID is a number of a process or thread, which has none where it is not known.
func procID(id func(*event.Event) int64) getter {
	return func(_ *Source, e *event.Event, v *filter.Value) bool {
		if proc(e) == nil {
			return false
		}
		v.Num = id(e)
		return v.Num != -1
	}
}

// openCount is how many descriptors a process has; of one that is not known, Falco
// counts none.
func openCount(p *event.Process) int64 {
	switch {
	case p.Recorded:
		return int64(p.MainFDs)
	case p.PID < 0:
		return 0
	}
	return int64(len(p.FDs))
}

// std reads a standard descriptor of the process.
func std(n int64, hangsOn func(*event.FD) event.Unknown, f func(*event.FD) string) getter {
	return func(_ *Source, e *event.Event, v *filter.Value) bool {
		p := proc(e)
		if p == nil {
			return false
		}
		fd := p.FDs[n]
		switch {
		case fd == nil && p.Unknown.FDs != event.Known:
			return unknown(v, p.Unknown.FDs)
		case fd == nil:
			return false
		case hangsOn(fd) != event.Known:
			return unknown(v, hangsOn(fd))
		}
		v.Str = f(fd)
		return true
	}
}

func stdType(n int64) getter {
	return std(n, typeUnknown, func(fd *event.FD) string { return fd.Type.String() })
}

func stdName(n int64) getter {
	return std(n, nameUnknown, func(fd *event.FD) string { return fd.Name })
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
