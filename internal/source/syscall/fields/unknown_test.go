// SPDX-License-Identifier: Apache-2.0

package fields

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/event/eventtest"
	"github.com/falcotest/go-falcotest/internal/filter"
)

// unknowns are events of which something is not known.
var unknowns = []struct {
	name   string
	event  func() *event.Event
	change func(*event.Event)
}{
	{"the program's file", eventtest.Shadow, func(e *event.Event) { e.Thread.Process.Unknown.Exe = event.UnknownProc }},
	{"the layer of the program's file", eventtest.Shadow, func(e *event.Event) { e.Thread.Process.Unknown.ExeLayer = event.UnknownLayer }},
	{"the environment", eventtest.Shadow, func(e *event.Event) { e.Thread.Process.Unknown.Env = event.UnknownProc }},
	{"the working directory", eventtest.Shadow, func(e *event.Event) { e.Thread.Process.Unknown.Cwd = event.UnknownProc }},
	{"which descriptors are open", eventtest.Shadow, func(e *event.Event) { e.Thread.Process.Unknown.FDs = event.UnknownProc }},
	{"the parent", eventtest.Shadow, func(e *event.Event) {
		e.Thread.Process.Parent, e.Thread.Process.Unknown.Parent = nil, event.UnknownAncestor
	}},
	{"an ancestor's program's file", eventtest.Shadow, func(e *event.Event) { e.Thread.Process.Parent.Unknown.Exe = event.UnknownProc }},
	{"the file's name", eventtest.Shadow, func(e *event.Event) {
		e.Params[2] = event.Param{Unknown: event.UnknownMemory}
		e.FD.Name, e.FD.NameRaw, e.FD.Unknown.Name = "", "", event.UnknownMemory
	}},
	{"the file's name, of a failed open", eventtest.Shadow, func(e *event.Event) {
		e.Ret, e.FD, e.FDNum = -2, nil, -1
		e.Params[0].Num, e.Params[2] = -2, event.Param{Unknown: event.UnknownMemory}
	}},
	{"the flags of an open", eventtest.Shadow, func(e *event.Event) { e.Params[3].Unknown = event.UnknownMemory }},
	{"the descriptor", eventtest.Shadow, func(e *event.Event) {
		e.FD.Unknown = event.FDUnknowns{Type: event.UnknownProc, Name: event.UnknownProc, Local: event.UnknownProc, File: event.UnknownProc, Layer: event.UnknownProc}
	}},
	{"this end of a client's connection", connectEvent, func(e *event.Event) {
		e.FD.Unknown.Name, e.FD.Unknown.Local = event.UnknownSocket, event.UnknownSocket
	}},
	{"this end of a server's connection", connectEvent, func(e *event.Event) {
		e.FD.Server, e.FD.Client = true, false
		e.FD.Unknown.Name, e.FD.Unknown.Local = event.UnknownSocket, event.UnknownSocket
	}},
	{"what the container's engine knows", eventtest.Shadow, func(e *event.Event) { e.Thread.Process.Container = here() }},
}

func here() *event.Container {
	return &event.Container{ID: "abc", FullID: "abcdef", Own: true, Unknown: event.UnknownEngine, Repository: "falcotest/action", Image: "falcotest/action:latest"}
}

func connectEvent() *event.Event {
	e := eventtest.Shadow()
	p := e.Thread.Process
	fd := &event.FD{
		Num: 3, Type: event.FDIPv4, Proto: event.ProtoTCP, Domain: 2, Client: true, Connected: true,
		Sock: event.SockAddr{Family: 2, Src: netip.MustParseAddrPort("127.0.0.1:4000"), Dst: netip.MustParseAddrPort("10.0.0.1:80")},
	}
	p.FDs[3] = fd
	return &event.Event{Num: 7, Time: eventtest.Time, Type: event.SysConnect, Thread: e.Thread, FD: fd, FDNum: 3, HasFD: true,
		Params: []event.Param{{}, {Sock: fd.Sock}, {Num: 3}, {Sock: event.SockAddr{Family: 2, Src: fd.Sock.Dst}}}}
}

// TestUnknownFields holds which fields hang on what may not be known of an event:
// those are unknown, and no other. What stands in for one is told.
func TestUnknownFields(t *testing.T) {
	src := New()
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
