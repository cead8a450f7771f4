// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"strings"
	"sync"

	"github.com/falcotest/go-falcotest/internal/event"
)

// Events of old versions are converted to the current one by the names of their
// parameters: a parameter that the exit event had keeps its value; one that only
// the enter event told is taken from the thread's last enter event; what neither
// had is null.

// param is a parameter of a version of an event.
type param struct {
	name, typ string
}

// ownParams are the parameters of the codes that have others than event.Table.
var ownParams = sync.OnceValue(func() *[len(codes)][]param {
	var all [len(codes)][]param
	for c := range codes {
		for _, f := range strings.Fields(codes[c].own) {
			name, typ, _ := strings.Cut(f, ":")
			all[c] = append(all[c], param{name, typ})
		}
	}
	return &all
})

// paramsOf are the parameters of a code.
func paramsOf(code uint16) []param {
	c := &codes[code]
	if c.own != "" || c.is&(old|enter) != 0 {
		return ownParams()[code]
	}
	return tableParams()[code]
}

var tableParams = sync.OnceValue(func() *[len(codes)][]param {
	var all [len(codes)][]param
	for c := range codes {
		if t := codes[c].typ; t != event.None {
			for _, d := range defOf(t).Params {
				all[c] = append(all[c], param{d.Name, d.Type.String()})
			}
		}
	}
	return &all
})

// defOf is the definition of a type, or that of calls known by number alone.
func defOf(t event.Type) *event.Def {
	if t == generic {
		return event.SysGetpid.Def()
	}
	return t.Def()
}

// plan says where the parameters of the current version come from.
type plan struct {
	params []source
	asIs   bool // when all are there, they are what they are to be
}

type source struct {
	exit, enter int8 // index of the parameter in that event, -1 for none
	zero        []byte
}

// renamed are parameters whose names changed between versions.
var renamed = map[event.Type]map[string]string{
	event.SysDup: {"oldfd": "fd"},
	event.SysBrk: {"vm_size": "size"},
	event.SysBpf: {"fd": "res_or_fd"},
}

var (
	zeros  = make([]byte, 8)
	nobody = []byte{0xff, 0xff, 0xff, 0xff}
)

var plans = sync.OnceValue(func() *[len(codes)]plan {
	var all [len(codes)]plan
	for c := 1; c < len(codes); c += 2 {
		all[c] = planOf(uint16(c))
	}
	for c := 0; c < len(codes); c += 2 {
		if codes[c].is&enter == 0 && codes[c].is&old != 0 {
			all[c] = planOf(uint16(c))
		}
	}
	return &all
})

func planOf(code uint16) plan {
	c := &codes[code]
	if c.typ == event.None {
		return plan{}
	}
	p := plan{asIs: c.is&old == 0}
	var before []param
	if code%2 == 1 && codes[code-1].is&enter != 0 {
		before = paramsOf(code - 1)
	}
	for i, d := range defOf(c.typ).Params {
		s := source{exit: int8(i), enter: index(before, d.Name)}
		if c.is&old != 0 {
			s.exit = index(paramsOf(code), d.Name)
		}
		if other := renamed[c.typ][d.Name]; other != "" && c.is&old != 0 {
			if s.exit < 0 {
				s.exit = index(paramsOf(code), other)
			}
			if s.enter < 0 {
				s.enter = index(before, other)
			}
		}
		if c.typ == event.SysExecveat && d.Name == "flags" {
			s.enter = -1 // those of the call, not of the program
		}
		if c.is&emptyWithout == 0 && (s.enter >= 0 || i == 0 || d.Name == "queuelen" || d.Name == "queuemax") {
			s.zero = zero(d.Type)
		}
		p.params = append(p.params, s)
	}
	return p
}

func index(list []param, name string) int8 {
	for i := range list {
		if list[i].name == name {
			return int8(i)
		}
	}
	return -1
}

// zero is what a number is when it is not told; texts are null then.
func zero(t event.ParamType) []byte {
	switch t {
	case event.PUID, event.PGID:
		return nobody
	case event.PCharBuf, event.PByteBuf, event.PSockAddr, event.PSockTuple, event.PFDList, event.PFSPath,
		event.PFSRelPath, event.PDynamic:
		return nil
	case event.PUint8, event.PFlags8, event.PEnumFlags8, event.PSigType:
		return zeros[:1]
	case event.PInt16, event.PUint16, event.PFlags16, event.PEnumFlags16, event.PSyscallID:
		return zeros[:2]
	case event.PInt32, event.PUint32, event.PFlags32, event.PEnumFlags32, event.PMode, event.PSigSet:
		return zeros[:4]
	}
	return zeros
}

// converter converts events, and keeps the enter events that exit events lack
// parameters of.
type converter struct {
	entered map[int64]*entered
	plans   *[len(codes)]plan
	scratch [maxParams][]byte
}

// entered is the last enter event of a thread.
type entered struct {
	code uint16
	n    int
	p    [8][]byte
	data []byte
}

func (c *converter) init() {
	c.entered = map[int64]*entered{}
	c.plans = plans()
}

// convert makes an event one of the current version. It returns false for those
// that only tell of others, and those that are not known.
func (c *converter) convert(r *record) (bool, error) {
	if int(r.code) >= len(codes) || codes[r.code].typ == event.None {
		return false, nil
	}
	k := &codes[r.code]
	if k.is&dropped != 0 {
		return false, nil
	}
	r.typ = k.typ
	if k.is&enter != 0 {
		r.enter = true
		// Of calls whose arguments can change under way, Falco looks at both
		// events; the others' enter events only complete their exits.
		switch k.typ {
		case event.SysOpen, event.SysCreat, event.SysOpenat, event.SysOpenat2:
			if k.is&old == 0 {
				return true, nil
			}
		case event.SysExecveat:
			return true, nil
		case event.SysExecve, event.SysConnect:
			c.store(r)
			return true, nil
		}
		c.store(r)
		return false, nil
	}
	p := &c.plans[r.code]
	if !p.asIs || k.is&grown != 0 && r.n < len(p.params) {
		if k.typ == event.EvtContainer {
			return false, nil // replaced long ago by events that tell more
		}
		if len(p.params) > 0 {
			c.fill(r, p)
		}
	} else if len(p.params) > 0 || r.n > maxParams {
		r.n = min(r.n, max(len(p.params), 0))
	}
	if k.typ == generic {
		r.typ, r.byNumber = event.None, true
		if id := int(r.u32(0)); id < len(syscallTypes) {
			r.typ = syscallTypes[id]
		}
		return r.typ != event.None, nil
	}
	return true, nil
}

func (c *converter) store(r *record) {
	e := c.entered[r.tid]
	if e == nil {
		if len(c.entered) >= maxThreads {
			return
		}
		e = &entered{}
		c.entered[r.tid] = e
	}
	e.code, e.n = r.code, min(r.n, len(e.p))
	e.data = e.data[:0]
	for i := range e.n {
		e.data = append(e.data, r.p[i]...)
	}
	at := 0
	for i := range e.n {
		e.p[i] = e.data[at : at+len(r.p[i])]
		at += len(r.p[i])
	}
}

func (c *converter) fill(r *record, p *plan) {
	before := c.entered[r.tid]
	if before != nil && (r.code == 0 || before.code != r.code-1) {
		before = nil
	}
	used := false
	for i, s := range p.params {
		switch {
		case s.exit >= 0 && int(s.exit) < r.n:
			c.scratch[i] = r.p[s.exit]
		case s.enter >= 0 && before != nil && int(s.enter) < before.n:
			c.scratch[i] = before.p[s.enter]
			used = true
		default:
			c.scratch[i] = s.zero
		}
	}
	r.n = len(p.params)
	copy(r.p[:r.n], c.scratch[:r.n])
	if used {
		before.code = 0 // and its bytes stay until the thread's next
	}
}
