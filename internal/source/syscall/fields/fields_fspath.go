// SPDX-License-Identifier: Apache-2.0

package fields

import (
	"strings"

	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/filter"
)

var fsPathFields = []field{
	{class: "fs.path", name: "fs.path.name", typ: filter.CharBuf, get: fsPath(pathOne, false)},
	{class: "fs.path", name: "fs.path.nameraw", typ: filter.CharBuf, get: fsPath(pathOne, true)},
	{class: "fs.path", name: "fs.path.source", typ: filter.CharBuf, get: fsPath(pathSource, false)},
	{class: "fs.path", name: "fs.path.sourceraw", typ: filter.CharBuf, get: fsPath(pathSource, true)},
	{class: "fs.path", name: "fs.path.target", typ: filter.CharBuf, get: fsPath(pathTarget, false)},
	{class: "fs.path", name: "fs.path.targetraw", typ: filter.CharBuf, get: fsPath(pathTarget, true)},
}

const (
	pathOne = iota
	pathSource
	pathTarget
)

// fsPaths names, for the calls that Falco knows to deal with paths, the
// parameters that hold the path, or the source and the target. To Falco the
// source of a link is the new name.
var fsPaths = map[event.Type][3]string{
	event.SysMkdir:     {pathOne: "path"},
	event.SysMkdirat:   {pathOne: "path"},
	event.SysRmdir:     {pathOne: "path"},
	event.SysUnlink:    {pathOne: "path"},
	event.SysUnlinkat:  {pathOne: "name"},
	event.SysOpen:      {pathOne: "name"},
	event.SysOpenat:    {pathOne: "name"},
	event.SysOpenat2:   {pathOne: "name"},
	event.SysFchmodat:  {pathOne: "filename"},
	event.SysChmod:     {pathOne: "filename"},
	event.SysFchmod:    {pathOne: fdNameOf},
	event.SysChown:     {pathOne: "path"},
	event.SysLchown:    {pathOne: "path"},
	event.SysFchown:    {pathOne: fdNameOf},
	event.SysFchownat:  {pathOne: "pathname"},
	event.SysQuotactl:  {pathOne: "special"},
	event.SysRename:    {pathSource: "oldpath", pathTarget: "newpath"},
	event.SysRenameat:  {pathSource: "oldpath", pathTarget: "newpath"},
	event.SysRenameat2: {pathSource: "oldpath", pathTarget: "newpath"},
	event.SysLink:      {pathSource: "newpath", pathTarget: "oldpath"},
	event.SysLinkat:    {pathSource: "newpath", pathTarget: "oldpath"},
	event.SysSymlink:   {pathSource: "linkpath", pathTarget: "target"},
	event.SysSymlinkat: {pathSource: "linkpath", pathTarget: "target"},
	event.SysMount:     {pathSource: "dev", pathTarget: "dir"},
	event.SysUmount:    {pathOne: "name"},
	event.SysUmount2:   {pathOne: "name"},
}

// fdNameOf stands for the name of the event's descriptor.
const fdNameOf = "fd.name"

type fsPathParam struct {
	index int8 // -1 none, -2 the descriptor's name
}

// fsPathParams is the same by event type, with the parameters' indexes.
var fsPathParams = func() (table [event.NumTypes][3]fsPathParam) {
	for t := range table {
		names := fsPaths[event.Type(t)]
		for i, name := range names {
			index := int8(-1)
			switch name {
			case "":
			case fdNameOf:
				index = -2
			default:
				index = int8(event.Table[t].Param(name))
			}
			table[t][i] = fsPathParam{index}
		}
	}
	return table
}()

// fsPath reads a path of a call that succeeded. For open, Falco compares the
// descriptor with -1 alone, so that a call which failed has a path too.
func fsPath(which int, raw bool) getter {
	return func(s *Source, e *event.Event, v *filter.Value) bool {
		i := int(fsPathParams[e.Type][which].index)
		if i == -1 || i >= len(e.Params) {
			return false
		}
		switch e.Type {
		case event.SysOpen, event.SysOpenat, event.SysOpenat2:
			if e.Ret == -1 {
				return false
			}
		default:
			if e.Ret != 0 {
				return false
			}
		}
		if i == -2 {
			return fdName(s, e, v)
		}
		p := &e.Params[i]
		if p.Unknown != event.Known {
			return unknown(v, p.Unknown)
		}
		var why event.Unknown
		if v.Str, why = fsPathText(e, i, which, raw); why != event.Known {
			return unknown(v, why)
		}
		return true
	}
}

func fsPathText(e *event.Event, i, which int, raw bool) (string, event.Unknown) {
	p := &e.Params[i]
	text := p.Str
	if p.Null {
		text = "<NA>"
	}
	switch {
	case raw:
		return text, event.Known
	case strings.HasPrefix(text, "/"):
		return event.JoinPath("", text), event.Known
	}
	switch e.Type {
	case event.SysOpenat, event.SysOpenat2:
		if fd := e.FD; fd != nil { // not another, where evt.abspath has taken it away
			if strings.HasPrefix(fd.Name, "./") { // of a process whose directory is not known
				return event.JoinPath("", fd.Name), fd.Unknown.Name
			}
			return fd.Name, fd.Unknown.Name
		}
		return unknownPath, event.Known
	case event.SysFchownat, event.SysFchmodat, event.SysMkdirat, event.SysUnlinkat:
		return inDir(e, text)
	case event.SysSymlinkat:
		if which == pathSource {
			return inDir(e, text)
		}
		return event.JoinPath(unknownPath, text), event.Known
	case event.SysRenameat2:
		return absParam(e, i), event.Known
	}
	dir, why := "", event.Known
	if p := proc(e); p != nil {
		dir, why = p.Cwd, p.Unknown.Cwd
	}
	return event.JoinPath(dir, text), why
}

// unknownPath is what Falco puts for a directory that it does not know.
const unknownPath = "<UNKNOWN>"

// inDir joins a relative path with the directory that the call was given by a
// descriptor. Falco does not think of AT_FDCWD here and then knows none.
func inDir(e *event.Event, path string) (string, event.Unknown) {
	fd := currentFD(e)
	switch {
	case fd != nil && nameUnknown(fd) != event.Known:
		return "", nameUnknown(fd)
	case fd == nil || fd.Type != event.FDDirectory:
		return event.JoinPath(unknownPath, path), event.Known
	}
	return event.JoinPath(fd.Name, path), event.Known
}
