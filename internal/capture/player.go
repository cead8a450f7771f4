// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"cmp"
	"errors"
	"io"
	"net/netip"

	"github.com/falcotest/go-falcotest/internal/event"
)

// Player gives a recording's events, each with the state of threads,
// descriptors, accounts and containers at the time. It is not safe for
// concurrent use.
type Player struct {
	r       *Reader
	s       *state
	rec     record
	call    call
	event   event.Event
	params  [maxParams]event.Param
	num     uint64
	wanted  *[event.NumTypes]bool
	pending bool // the event before is still to be settled
}

// NewPlayer returns a player of a recording, gzipped or not. It reads up to the
// first block; an [Error] says what is wrong with it.
func NewPlayer(r io.Reader) (*Player, error) {
	p := &Player{s: newState()}
	var err error
	if p.r, err = newReader(r, p.s); err != nil {
		return nil, err
	}
	p.call.record = &p.rec
	return p, nil
}

// Want limits the events to those of some types. The others are followed, but
// not given.
func (p *Player) Want(types []event.Type) {
	p.wanted = new([event.NumTypes]bool)
	for _, t := range types {
		p.wanted[t] = true
	}
}

// Events is how many events the recording has had so far.
func (p *Player) Events() uint64 { return p.num }

// Next returns the next event. It is valid until the following call: keep a
// [event.Event.Clone]. At the recording's end the error is io.EOF; any other is
// an [Error], and then nothing can be concluded of the whole recording.
func (p *Player) Next() (*event.Event, error) {
	for {
		if p.pending {
			p.pending = false
			p.s.end(&p.call)
		}
		if err := p.r.next(&p.rec); err != nil {
			if errors.Is(err, io.EOF) {
				return nil, io.EOF
			}
			return nil, err
		}
		p.num++
		p.s.settle()
		c := &p.call
		c.def = c.typ.Def()
		if c.byNumber {
			c.def = byNumber
		}
		p.s.begin(c)
		p.s.apply(c)
		p.pending = true
		p.s.opening = p.s.opening && tellsState[c.typ]
		if p.s.first == 0 && c.def.Attrs&event.Meta == 0 {
			p.s.first = c.time
		}
		if c.enter || p.s.opening || p.wanted != nil && !p.wanted[c.typ] {
			continue
		}
		return p.emit(c), nil
	}
}

// tellsState are the events that tell of accounts and containers. Those at the
// beginning of a recording belong to its tables: Falco counts them and gives them
// to no rule.
var tellsState = [event.NumTypes + 1]bool{
	event.EvtContainer: true, event.EvtUseradded: true, event.EvtUserdeleted: true,
	event.EvtGroupadded: true, event.EvtGroupdeleted: true, event.EvtAsyncevent: true,
}

// emit makes the event of what is known.
func (p *Player) emit(c *call) *event.Event {
	e := &p.event
	*e = event.Event{
		Num: p.num, Time: c.time, Start: cmp.Or(p.s.first, -1), CPU: c.cpu, Type: c.typ, Ret: c.ret, World: (*world)(p.s),
		FD: c.fd, FDNum: -1, ByNumber: c.byNumber, HasFD: c.def.Attrs&(event.UsesFD|event.CreatesFD|event.DestroysFD) != 0, TID: c.tid,
	}
	n := min(c.n, len(c.def.Params))
	for i := range n {
		decode(&p.params[i], &c.def.Params[i], c.p[i])
	}
	e.Params = p.params[:n]
	t := c.t
	if t == nil {
		t = p.s.find(c.tid) // fields tell of it, though the event changes nothing
	}
	if t != nil {
		e.FDNum = t.lastFD
		p.s.view(t)
		e.Thread = &t.Thread
	}
	if c.fd != nil {
		e.FDNameChanged, e.OldFDName = c.fd.Name != c.fd.OldName, c.fd.OldName
	}
	return e
}

var byNumber = (&event.Event{ByNumber: true}).Def()

// view makes a thread's process show what it shares with its main thread.
func (s *state) view(t *thread) {
	s.resolve(t)
	m, p := t.main(), &t.proc
	p.Threads, p.LeaderGone = 0, false
	if g := t.group; g != nil {
		p.Threads, p.LeaderGone = g.alive, m == nil || m.dead()
	}
	p.MainFDs = 0
	if m != nil {
		p.MainFDs = len(m.fds)
	}
	switch m {
	case t:
	case nil:
		p.Env, p.Cwd, p.FDLimit, p.FDs = t.env, "./", 0, t.table()
	default:
		p.Env, p.Cwd, p.FDLimit, p.FDs = m.env, m.cwd, m.fdLimit, t.table()
	}
}

// world is the recording as a World.
type world state

var _ event.World = (*world)(nil)

// inContainer: of whose accounts Falco knows nothing when it replays.
func inContainer(p *event.Process) bool { return p != nil && p.Container != nil }

func (w *world) User(p *event.Process, uid uint32) (*event.User, bool) {
	if inContainer(p) {
		return nil, false
	}
	u := w.users[uid]
	return u, u != nil
}

// AccountsUnknown: what a recording does not name, Falco does not know either.
func (w *world) AccountsUnknown(*event.Process) event.Unknown { return event.Known }

func (w *world) Group(p *event.Process, gid uint32) (string, bool) {
	if inContainer(p) {
		return "", false
	}
	g, ok := w.nGroups[gid]
	return g, ok
}

func (w *world) Process(pid int64, what event.ProcessText) (string, bool) {
	t := w.threads[pid]
	if t == nil {
		return "", false
	}
	switch what {
	case event.TextExe:
		return t.proc.Exe, true
	case event.TextExePath:
		return t.proc.ExePath, true
	}
	return t.proc.Comm, true
}

func (w *world) HasAddr(a netip.Addr) bool {
	for i := range w.interfaces {
		e := &w.interfaces[i]
		if e.addr == a || a.Is6() && e.addr.Is6() && sameNetwork(e, a) {
			return true
		}
	}
	return false
}

// HostNames: recordings hold no hosts files.
func (w *world) HostNames(*event.Thread, netip.Addr) []string { return nil }

// Hostname is empty: Falco 0.43 forgets the machine before it replays.
func (w *world) Hostname() string { return "" }
