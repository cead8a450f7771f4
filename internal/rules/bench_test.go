// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/filter/filtertest"
)

// BenchmarkLoad loads and compiles all 93 upstream rules, files in memory.
func BenchmarkLoad(b *testing.B) {
	var files []File
	for _, name := range upstream(b) {
		data, err := os.ReadFile(name)
		if err != nil {
			b.Fatal(err)
		}
		files = append(files, File{name, data})
	}
	opts := Options{Sources: []filter.Source{filtertest.Syscalls(b)}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := LoadFiles(context.Background(), files, opts); err != nil {
			b.Fatal(err)
		}
	}
}

// arrayEvent is an event whose fields are read by index, at about the cost of a
// real one's.
type arrayEvent struct {
	typ    string
	values []filter.Value
	has    []bool
}

// arraySource gives each field that rules name the next index.
type arraySource struct {
	*filtertest.TypedSource
	index map[string]int
}

func (s *arraySource) Field(name, arg string, hasArg bool) (*filter.Field, error) {
	f, err := s.TypedSource.Field(name, arg, hasArg)
	if err != nil {
		return nil, err
	}
	i, ok := s.index[f.Name]
	if !ok {
		i = len(s.index)
		s.index[f.Name] = i
	}
	f.Get = func(ev any, v *filter.Value) bool {
		e := ev.(*arrayEvent)
		if i >= len(e.has) || !e.has[i] {
			return false
		}
		x := &e.values[i]
		v.Str, v.Num, v.List, v.Addr = x.Str, x.Num, x.List, x.Addr
		return true
	}
	return f, nil
}

func (s *arraySource) event(fields map[string]filter.Value) *arrayEvent {
	ev := &arrayEvent{typ: fields["evt.type"].Str, values: make([]filter.Value, len(s.index)), has: make([]bool, len(s.index))}
	for name, v := range fields {
		if i, ok := s.index[name]; ok {
			ev.values[i], ev.has[i] = v, true
		}
	}
	return ev
}

// mix is what a shell script that builds a small program does, in about these
// proportions.
func mix(s *arraySource) []*arrayEvent {
	str, num := filtertest.Str, filtertest.Num
	process := func(name string) map[string]filter.Value {
		return map[string]filter.Value{
			"proc.name": str(name), "proc.pname": str("bash"), "proc.exe": str(name), "proc.exepath": str("/usr/bin/" + name),
			"proc.cmdline": str(name + " -O2 -c main.c -o main.o"), "proc.args": str("-O2 -c main.c -o main.o"), "proc.pcmdline": str("bash build.sh"),
			"proc.aname[2]": str("sshd"), "proc.aname[3]": str("systemd"), "proc.aname": filtertest.Strs("bash", "sshd", "systemd"),
			"proc.tty": num(34816), "proc.vpid": num(1234), "proc.pid": num(1234), "proc.sname": str("bash"), "proc.env": str("PATH=/usr/bin"),
			"proc.is_exe_upper_layer": num(0), "proc.is_exe_from_memfd": num(0), "proc.sid.exe": str("bash"), "proc.duration": num(5e6),
			"container.id": str("host"), "container.privileged": num(0), "user.name": str("me"), "user.uid": num(1000), "user.loginuid": num(1000),
			"thread.cap_effective": str(""), "thread.cap_inheritable": str(""), "proc.stdin.name": str("/dev/pts/0"), "proc.stdout.name": str("/dev/pts/0"),
		}
	}
	with := func(name string, more map[string]filter.Value) *arrayEvent {
		fields := process(name)
		for k, v := range more {
			fields[k] = v
		}
		return s.event(fields)
	}
	open := func(proc, path string, write int64) *arrayEvent {
		dir := path[:len(path)-len(filepath.Base(path))-1]
		return with(proc, map[string]filter.Value{
			"evt.type": str("openat"), "fd.name": str(path), "fd.nameraw": str(path), "fd.directory": str(dir), "fd.filename": str(filepath.Base(path)),
			"fd.typechar": str("f"), "fd.num": num(3), "evt.is_open_read": num(1 - write), "evt.is_open_write": num(write), "evt.is_open_exec": num(0),
			"evt.res": str("SUCCESS"), "evt.arg.flags": str("O_RDONLY|O_CLOEXEC"), "evt.rawres": num(3),
		})
	}
	plain := func(proc, typ string) *arrayEvent {
		return with(proc, map[string]filter.Value{"evt.type": str(typ), "evt.res": str("SUCCESS"), "evt.rawres": num(0)})
	}
	var evs []*arrayEvent
	for _, proc := range []string{"make", "gcc", "cc1", "as", "collect2", "ld"} {
		evs = append(evs, plain(proc, "clone"), plain(proc, "execve"))
		for _, path := range []string{"/etc/ld.so.cache", "/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/gcc/x86_64-linux-gnu/12/liblto_plugin.so", "/usr/include/stdio.h", "/home/me/src/main.c"} {
			evs = append(evs, open(proc, path, 0))
		}
		evs = append(evs, open(proc, "/tmp/ccAbCdEf.s", 1), open(proc, "/home/me/src/main.o", 1), plain(proc, "unlink"), plain(proc, "close"), plain(proc, "close"))
	}
	return evs
}

// BenchmarkEvaluate asks all upstream rules about a mix of events, of which
// none alerts. An operation is one event.
func BenchmarkEvaluate(b *testing.B) {
	src := &arraySource{filtertest.Syscalls(b), map[string]int{}}
	set, err := Load(context.Background(), upstream(b), Options{Sources: []filter.Source{src}})
	if err != nil {
		b.Fatal(err)
	}
	wanted := map[string][]filter.Cond{}
	for _, t := range src.Types {
		for _, r := range set.Rules {
			if r.EventTypes.Has(t) && !slices.Contains(wanted[t], r.Cond) {
				wanted[t] = append(wanted[t], r.Cond)
			}
		}
	}
	prog, folded := set.Program("syscall").Fold(wanted)
	byType := map[string][]filter.Cond{}
	for t, list := range folded {
		for _, f := range list {
			if !f.Never {
				byType[t] = append(byType[t], f.Cond)
			}
		}
	}
	evs := mix(src)
	m := prog.NewMachine()
	matched := 0
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		ev := evs[i%len(evs)]
		i++
		conds := byType[ev.typ]
		if len(conds) == 0 {
			continue
		}
		m.Reset(ev)
		for _, c := range conds {
			if m.Eval(c) {
				matched++
			}
		}
	}
	b.ReportMetric(float64(matched)/float64(i), "alerts/event")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
