// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"testing"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/event/eventtest"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/source/syscall/fields"
)

// BenchmarkLoad reads, compiles and indexes the 93 upstream rules.
func BenchmarkLoad(b *testing.B) {
	var files []rules.File
	for _, name := range upstreamFiles {
		files = append(files, rules.File{Name: name, Data: testdata(b, "rules/"+name)})
	}
	b.ReportAllocs()
	for b.Loop() {
		set, err := rules.LoadFiles(context.Background(), files, rules.Options{Sources: []filter.Source{fields.New()}})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := New(set, Options{Enable: enableAll, Matching: All}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/load")
}

// BenchmarkUnwanted evaluates an event that no rule is for.
func BenchmarkUnwanted(b *testing.B) {
	ev := newEngine(b, upstream(b), Options{Enable: enableAll, Matching: All}).NewEvaluator()
	call := &event.Event{Type: event.SysGetpid, Time: eventtest.Time, Thread: &event.Thread{Process: eventtest.Process("sh", "/bin/sh")}}
	b.ReportAllocs()
	for b.Loop() {
		ev.Evaluate(fields.SourceName, call, nil)
	}
}

// BenchmarkMix evaluates the 93 upstream rules, all enabled, for a mix of
// events like that of a small build. None of them alerts.
func BenchmarkMix(b *testing.B) {
	ev := newEngine(b, upstream(b), Options{Enable: enableAll, Matching: All}).NewEvaluator()
	events := mix()
	ignore := func(a *alert.Alert) {}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		ev.Evaluate(fields.SourceName, events[n%len(events)], ignore)
		n++
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkAlert evaluates an event for which a rule alerts.
func BenchmarkAlert(b *testing.B) {
	ev := newEngine(b, upstream(b), Options{Enable: enableAll}).NewEvaluator()
	call := eventtest.Shadow()
	b.ReportAllocs()
	for b.Loop() {
		ev.Evaluate(fields.SourceName, call, func(*alert.Alert) {})
	}
}

// mix is what a shell script does that compiles a small program: mostly opens
// of headers and libraries, reads, closes, with processes and a few changes to
// files among them.
func mix() []*event.Event {
	make_ := eventtest.Process("make", "/usr/bin/make", "all")
	cc := eventtest.Process("cc1", "/usr/libexec/gcc/x86_64-linux-gnu/12/cc1", "-quiet", "-imultiarch", "x86_64-linux-gnu", "main.c", "-o", "/tmp/ccX.s")
	cc.Parent = make_
	ld := eventtest.Process("ld", "/usr/bin/ld", "-o", "main", "main.o", "-lc")
	ld.Parent = make_
	var events []*event.Event
	call := func(p *event.Process, t event.Type, ret int64, params ...event.Param) *event.Event {
		e := &event.Event{Type: t, Ret: ret, Time: eventtest.Time, Thread: &event.Thread{TID: p.PID, VTID: p.PID, Process: p}, Params: params, FDNum: -1}
		events = append(events, e)
		return e
	}
	onFD := func(e *event.Event, fd *event.FD) {
		e.FD, e.FDNum, e.HasFD = fd, fd.Num, true
	}
	for i := range 20 {
		for _, name := range []string{"/etc/ld.so.cache", "/lib/x86_64-linux-gnu/libc.so.6", "/usr/include/stdio.h", "/usr/include/features.h", "/home/user/src/main.c"} {
			events = append(events, eventtest.Open(cc, name, event.ORdonly|event.OCloexec))
		}
		fail := eventtest.Open(cc, "/usr/local/include/stdio.h", event.ORdonly)
		fail.Ret, fail.FD, fail.FDNum, fail.Params[0].Num = -2, nil, -1, -2
		events = append(events, fail)
		obj := &event.FD{Num: 4, Type: event.FDFile, Name: "/home/user/src/main.o", NameRaw: "main.o"}
		onFD(call(cc, event.SysRead, 80, event.Param{Num: 80}, event.Param{Str: "int main(void)"}, event.Param{Num: 4}, event.Param{Num: 4096}), obj)
		onFD(call(cc, event.SysWrite, 80, event.Param{Num: 80}, event.Param{Str: "\x7fELF"}, event.Param{Num: 4}, event.Param{Num: 4096}), obj)
		onFD(call(cc, event.SysClose, 0, event.Param{}, event.Param{Num: 4}), obj)
		events = append(events, eventtest.Open(ld, "/home/user/src/main", event.OWronly|event.OCreat|event.OTrunc))
		call(cc, event.SysUnlink, 0, event.Param{}, event.Param{Str: "/tmp/ccX.s", Path: "/tmp/ccX.s"})
		call(make_, event.SysStat, 0, event.Param{}, event.Param{Str: "main.c", Path: "/root/main.c"})
		if i%5 == 0 {
			call(make_, event.SysVfork, 201, make([]event.Param, 21)...)
			exec := make([]event.Param, 30)
			exec[1].Str = "cc1"
			call(cc, event.SysExecve, 0, exec...)
			onFD(call(make_, event.SysDup2, 1, event.Param{Num: 1}, event.Param{Num: 4}, event.Param{Num: 1}), &event.FD{Num: 1, Type: event.FDPipe})
			call(ld, event.SysChmod, 0, event.Param{}, event.Param{Str: "main", Path: "/root/main"}, event.Param{Num: 0o755})
			call(make_, event.SysRename, 0, event.Param{}, event.Param{Str: "main.tmp", Path: "/root/main.tmp"}, event.Param{Str: "main", Path: "/root/main"})
		}
	}
	return events
}

// TestMixIsQuiet keeps the benchmark honest: its events alert for nothing.
func TestMixIsQuiet(t *testing.T) {
	for _, a := range evaluate(newEngine(t, upstream(t), Options{Enable: enableAll, Matching: All}), mix()...) {
		t.Errorf("alert %s: %s", a.Rule, a.Output)
	}
}
