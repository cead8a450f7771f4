// SPDX-License-Identifier: Apache-2.0

package fields

import (
	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/filter"
)

var userFields = []field{
	{name: "user.uid", typ: filter.Uint32, get: procNum(func(p *event.Process) int64 { return int64(p.UID) })},
	{name: "user.name", typ: filter.CharBuf, get: userStr(uid, func(u *event.User) string { return u.Name }, "root")},
	{name: "user.homedir", typ: filter.CharBuf, get: userStr(uid, func(u *event.User) string { return u.Home }, "/root")},
	{name: "user.shell", typ: filter.CharBuf, get: userStr(uid, func(u *event.User) string { return u.Shell }, "<NA>")},
	{name: "user.loginuid", typ: filter.Int64, get: procNum(func(p *event.Process) int64 {
		if p.LoginUID < 0 || p.LoginUID >= 1<<32-1 {
			return -1
		}
		return p.LoginUID
	})},
	{name: "user.loginname", typ: filter.CharBuf, get: userStr(func(p *event.Process) int64 { return p.LoginUID }, func(u *event.User) string { return u.Name }, "root")},
	{name: "group.gid", typ: filter.Uint32, get: procNum(func(p *event.Process) int64 { return int64(p.GID) })},
	{name: "group.name", typ: filter.CharBuf, get: func(s *Source, e *event.Event, v *filter.Value) bool {
		p := proc(e)
		if p == nil {
			return false
		}
		name, ok := e.Machine().Group(p, p.GID)
		switch why := e.Machine().AccountsUnknown(p); {
		case ok:
			v.Str = name
		case why != event.Known:
			return unknown(v, why)
		case p.GID == 0:
			v.Str = "root"
		default:
			v.Str = "<NA>"
		}
		return true
	}},
}

func uid(p *event.Process) int64 { return int64(p.UID) }

// userStr reads what the passwd file says of a user. Where it does not say,
// Falco knows root, and prints <NA> for others.
func userStr(id func(*event.Process) int64, f func(*event.User) string, root string) getter {
	return func(s *Source, e *event.Event, v *filter.Value) bool {
		p := proc(e)
		if p == nil {
			return false
		}
		n := id(p)
		v.Str = "<NA>"
		if n < 0 || n >= 1<<32-1 {
			return true
		}
		switch u, ok := e.Machine().User(p, uint32(n)); {
		case ok:
			v.Str = f(u)
		case e.Machine().AccountsUnknown(p) != event.Known:
			return unknown(v, e.Machine().AccountsUnknown(p))
		case n == 0:
			v.Str = root
		}
		return true
	}
}
