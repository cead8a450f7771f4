// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/filter"
)

// unknowns are events of which something is not known.
var unknowns = []struct {
	name   string
	event  func() *event.Event
	change func(*event.Event)
}{
	{"the program's file", sampleEvent, func(e *event.Event) { e.Thread.Process.Unknown.Exe = event.UnknownProc }},
	{"the layer of the program's file", sampleEvent, func(e *event.Event) { e.Thread.Process.Unknown.ExeLayer = event.UnknownLayer }},
	{"the environment", sampleEvent, func(e *event.Event) { e.Thread.Process.Unknown.Env = event.UnknownProc }},
	{"the working directory", sampleEvent, func(e *event.Event) { e.Thread.Process.Unknown.Cwd = event.UnknownProc }},
	{"which descriptors are open", sampleEvent, func(e *event.Event) { e.Thread.Process.Unknown.FDs = event.UnknownProc }},
	{"the parent", sampleEvent, func(e *event.Event) {
		e.Thread.Process.Parent, e.Thread.Process.Unknown.Parent = nil, event.UnknownAncestor
	}},
	{"an ancestor's program's file", sampleEvent, func(e *event.Event) { e.Thread.Process.Parent.Unknown.Exe = event.UnknownProc }},
	{"the file's name", sampleEvent, func(e *event.Event) {
		e.Params[2] = event.Param{Unknown: event.UnknownMemory}
		e.FD.Name, e.FD.NameRaw, e.FD.Unknown.Name = "", "", event.UnknownMemory
	}},
	{"the file's name, of a failed open", sampleEvent, func(e *event.Event) {
		e.Ret, e.FD, e.FDNum = -2, nil, -1
		e.Params[0].Num, e.Params[2] = -2, event.Param{Unknown: event.UnknownMemory}
	}},
	{"the flags of an open", sampleEvent, func(e *event.Event) { e.Params[3].Unknown = event.UnknownMemory }},
	{"the descriptor", sampleEvent, func(e *event.Event) {
		e.FD.Unknown = event.FDUnknowns{Type: event.UnknownProc, Name: event.UnknownProc, Local: event.UnknownProc, File: event.UnknownProc, Layer: event.UnknownProc}
	}},
	{"this end of a client's connection", connectEvent, func(e *event.Event) {
		e.FD.Unknown.Name, e.FD.Unknown.Local = event.UnknownSocket, event.UnknownSocket
	}},
	{"this end of a server's connection", connectEvent, func(e *event.Event) {
		e.FD.Server, e.FD.Client = true, false
		e.FD.Unknown.Name, e.FD.Unknown.Local = event.UnknownSocket, event.UnknownSocket
	}},
	{"what the container's engine knows", sampleEvent, func(e *event.Event) { e.Thread.Process.Container = here() }},
}

func here() *event.Container {
	return &event.Container{ID: "abc", FullID: "abcdef", Own: true, Unknown: event.UnknownEngine, Repository: "falcotest/action", Image: "falcotest/action:latest"}
}

func connectEvent() *event.Event {
	e := sampleEvent()
	p := e.Thread.Process
	fd := &event.FD{
		Num: 3, Type: event.FDIPv4, Proto: event.ProtoTCP, Domain: 2, Client: true, Connected: true,
		Sock: event.SockAddr{Family: 2, Src: netip.MustParseAddrPort("127.0.0.1:4000"), Dst: netip.MustParseAddrPort("10.0.0.1:80")},
	}
	p.FDs[3] = fd
	return &event.Event{Num: 7, Time: sampleTime, Type: event.SysConnect, Thread: e.Thread, FD: fd, FDNum: 3, HasFD: true,
		Params: []event.Param{{}, {Sock: fd.Sock}, {Num: 3}, {Sock: event.SockAddr{Family: 2, Src: fd.Sock.Dst}}}}
}

// TestUnknownFields holds which fields hang on what may not be known of an event:
// those are unknown, and no other. What stands in for one is told.
func TestUnknownFields(t *testing.T) {
	src := NewSyscall()
	var got strings.Builder
	for _, u := range unknowns {
		before, after := u.event(), u.event()
		u.change(after)
		fmt.Fprintf(&got, "%s:\n", u.name)
		for i := range table {
			f := &table[i]
			for _, arg := range []string{"", "0", "1", "2", "A", "name", "fd"} {
				if (arg == "") == needsArgument(f.arg) || (f.arg == reqKey || f.arg == reqDotKey) && arg != "A" {
					continue
				}
				name := f.name
				dotted := f.arg == reqIndexName && (arg == "name" || arg == "fd") || f.arg == reqName
				if dotted {
					name += "." + arg
				}
				resolved, err := src.Field(name, map[bool]string{false: arg}[dotted], arg != "" && !dotted)
				if err != nil || resolved.Get == nil {
					continue
				}
				var was, v filter.Value
				resolved.Get(before, &was)
				has := resolved.Get(after, &v)
				unknown := v.Unknown
				for _, item := range v.List {
					if item.Unknown != nil {
						unknown = item.Unknown
					}
				}
				if was.Unknown != nil {
					t.Errorf("%s is unknown of an event of which all is known", resolved.Name)
				}
				if unknown == nil {
					continue
				}
				if has && len(v.List) == 0 {
					t.Errorf("%s: %s is unknown and has a value", u.name, resolved.Name)
				}
				switch {
				case unknown.None:
					fmt.Fprintf(&got, "  %s, or none\n", resolved.Name)
				case unknown.StandIn:
					fmt.Fprintf(&got, "  %s, or %s\n", resolved.Name, v.Str)
				default:
					fmt.Fprintf(&got, "  %s\n", resolved.Name)
				}
			}
		}
	}
	golden(t, "testdata/unknown_fields.txt", got.String())
}

func needsArgument(k argKind) bool {
	switch k {
	case reqIndexName, reqName, reqKey, reqDotKey, reqNumber:
		return true
	}
	return false
}

// TestUnknownVerdicts holds what becomes of rules for an event of which something
// is not known, and what is printed of it.
func TestUnknownVerdicts(t *testing.T) {
	set := load(t, `
- rule: hangs on it
  desc: d
  condition: evt.type = openat and container.privileged = true
  output: x
  priority: NOTICE
- rule: hangs on it in a not
  desc: d
  condition: evt.type = openat and not (container.privileged = true or proc.name = dog)
  output: x
  priority: NOTICE
- rule: does not hang on it
  desc: d
  condition: evt.type = openat and proc.name = cat and (container.privileged = true or container.id != host)
  output: privileged=%container.privileged image=%container.image.repository name=%fd.name
  priority: NOTICE
- rule: is false all the same
  desc: d
  condition: evt.type = openat and container.privileged = true and proc.name = dog
  output: x
  priority: NOTICE
- rule: makes an exception
  desc: d
  condition: evt.type = openat and not container.image.repository in (some/image, other/image) and not k8s.ns.name = kube-system
  output: x
  priority: NOTICE
- rule: asks for an image
  desc: d
  condition: evt.type = openat and container.image.repository = some/image
  output: x
  priority: NOTICE
- rule: asks for a namespace
  desc: d
  condition: evt.type = openat and k8s.ns.name = default
  output: x
  priority: NOTICE
`)
	var got strings.Builder
	for _, matching := range []Matching{All, First} {
		how := map[Matching]string{All: "all", First: "first"}[matching]
		ev := newEngine(t, set, Options{Matching: matching}).NewEvaluator()
		var names []string
		for _, r := range set.Rules {
			names = append(names, r.Name)
		}
		if err := ev.Explain(names...); err != nil {
			t.Fatal(err)
		}
		e := sampleEvent()
		e.Thread.Process.Container = here()
		ev.EvaluateCall(e, func(a *alert.Alert) {
			if a.Rule == "does not hang on it" {
				_, text, _ := strings.Cut(a.Output, ": Notice ") // the time is that of a time zone
				fmt.Fprintf(&got, "%s: alert of %q\n  %s\n  %v\n", how, a.Rule, text, a.Fields["container.privileged"])
			}
		})
		for _, name := range names {
			why := ev.Why(name)
			fmt.Fprintf(&got, "%s: %s: %d alerts\n", how, name, why.Alerts)
			if text, passing := why.Unknown(); text != "" {
				fmt.Fprintf(&got, "  unknown (passing %t): %s\n", passing, text)
			}
			if text := why.Assumption(); text != "" {
				fmt.Fprintf(&got, "  assumed: %s\n", text)
			}
			if why.Alerts == 0 {
				fmt.Fprintf(&got, "  %s\n", strings.ReplaceAll(why.String(), "\n", "\n  "))
			}
		}
	}
	golden(t, "testdata/unknown_verdicts.txt", got.String())
}

// TestDoubt asks on what it hangs whether a rule is true, when somebody else does
// not know some fields.
func TestDoubt(t *testing.T) {
	set := load(t, `
- rule: asks for a user
  desc: d
  condition: evt.type = openat and user.name in (daemon, bin) and proc.name = cat
  output: x
  priority: NOTICE
- rule: asks for none
  desc: d
  condition: evt.type = openat and proc.name = dog
  output: x
  priority: NOTICE
`)
	e := newEngine(t, set, Options{})
	hidden := func(field string) *filter.Reason {
		if field == "user.name" {
			return &filter.Reason{Text: "that one does not know it"}
		}
		return nil
	}
	for rule, want := range map[string]string{
		"asks for a user": "`user.name` cannot be known here: that one does not know it",
		"asks for none":   "", "no such rule": "",
	} {
		d, err := e.Doubt(rule, []any{sampleEvent()}, hidden)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if d != nil {
			got = d.String()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", rule, got, want)
		}
	}
}
