// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/event"
)

// The longest texts that Falco's libraries read in tables.
const (
	maxPath   = 1023
	maxVector = 4096
)

// WriterOptions say what a recording holds.
type WriterOptions struct {
	// Hostname, CPUs and Boot describe the machine; Boot is in nanoseconds since
	// the epoch.
	Hostname   string
	CPUs       int
	Boot       int64
	Interfaces []netip.Prefix // addresses of the network interfaces

	// Env decides which variables of the environment keep their values, by
	// name; the others are written as "NAME=". Nil keeps those that only say
	// where things are (see [KeptEnv]).
	Env func(name string) bool

	// Late holds the events, compressed, until the recording is closed, so that its
	// tables can tell of processes and threads that are not seen to begin: of a part of
	// what happened. Without it they tell of what the first event knows.
	Late bool
}

// keptEnv are variables whose values are not secret, and what rules ask for.
var keptEnv = []string{
	config.EnvID, "HOME", "LANG", "LD_LIBRARY_PATH", "LD_PRELOAD", "LOGNAME", "PATH", "PWD", "SHELL", "TERM", "TMPDIR", "USER",
}

// KeptEnv tells whether a recording keeps the value of a variable by default.
func KeptEnv(name string) bool { return slices.Contains(keptEnv, name) }

// Writer writes a recording, gzipped, in the version that Falco's libraries 0.23
// write. Processes are in its tables or are told of by the events of their making;
// accounts and containers by events before the first that shows them. It is not safe
// for concurrent use.
type Writer struct {
	opts       WriterOptions
	dst        io.Writer
	held       bytes.Buffer // what was written, when it is held
	out        *bufio.Writer
	zip        *gzip.Writer
	buf        []byte
	began      bool
	events     uint64
	total      uint64
	users      map[accountKey]bool
	groups     map[accountKey]bool
	containers map[string]bool
	known      map[int64]bool // threads that the recording tells of so far
	executed   map[int64]bool // processes that have executed a program in it
	err        error

	// The tables: entries of processes and accounts, and blocks of descriptors.
	processes, accounts []byte
	descriptors         [][]byte
}

type accountKey struct {
	container string
	id        uint32
}

// NewWriter returns a writer of a recording. It must be closed.
func NewWriter(w io.Writer, opts WriterOptions) *Writer {
	if opts.Env == nil {
		opts.Env = KeptEnv
	}
	out := &Writer{
		opts: opts, dst: w, users: map[accountKey]bool{}, groups: map[accountKey]bool{}, containers: map[string]bool{}, known: map[int64]bool{}, executed: map[int64]bool{},
	}
	if opts.Late {
		w = &out.held
	}
	out.writeTo(w)
	return out
}

func (w *Writer) writeTo(dst io.Writer) {
	w.zip = gzip.NewWriter(dst)
	w.out = bufio.NewWriterSize(w.zip, 1<<16)
}

// Events is how many events were written that were given.
func (w *Writer) Events() uint64 { return w.events }

// Total is how many events the recording has: also those by which it tells of
// accounts.
func (w *Writer) Total() uint64 { return w.total }

// Close ends the recording. One that is not closed lacks its end, and is refused.
func (w *Writer) Close() error {
	if w.opts.Late {
		if err := w.flush(); err != nil {
			return err
		}
		w.writeTo(w.dst)
		w.tables()
	} else if !w.began {
		w.tables()
	}
	err := w.flush()
	if err == nil && w.opts.Late {
		_, err = w.held.WriteTo(w.dst) // gzip's members may follow one another
	}
	return err
}

func (w *Writer) flush() error { return errors.Join(w.err, w.out.Flush(), w.zip.Close()) }

// block writes a block; fill appends what is in it.
func (w *Writer) block(typ uint32, fill func(b []byte) []byte) {
	if w.err != nil {
		return
	}
	b := le.AppendUint32(w.buf[:0], typ)
	b = le.AppendUint32(b, 0)
	b = fill(b)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	b = le.AppendUint32(b, uint32(len(b)+4))
	le.PutUint32(b[4:], uint32(len(b)))
	w.buf = b
	_, w.err = w.out.Write(b)
}

// sized writes an entry with its length before it.
func sized(b []byte, fill func(b []byte) []byte) []byte {
	at := len(b)
	b = fill(le.AppendUint32(b, 0))
	le.PutUint32(b[at:], uint32(len(b)-at))
	return b
}

func appendText(b []byte, s string) []byte {
	s = s[:min(len(s), maxPath)]
	return append(le.AppendUint16(b, uint16(len(s))), s...)
}

// appendVector writes strings with a zero byte after each, as many as fit.
func appendVector(b []byte, list []string) []byte {
	v := vector(list)
	return append(le.AppendUint16(b, uint16(len(v))), v...)
}

func vector(list []string) []byte {
	var v []byte
	for _, s := range list {
		if len(v)+len(s)+1 > maxVector {
			break
		}
		v = append(append(v, s...), 0)
	}
	return v
}

// tables writes what comes before the events.
func (w *Writer) tables() {
	w.block(blockSection, func(b []byte) []byte {
		b = le.AppendUint32(b, byteOrderMagic)
		b = le.AppendUint16(le.AppendUint16(b, majorVersion), minorVersion)
		return le.AppendUint64(b, 1<<64-1)
	})
	w.block(blockMachine, func(b []byte) []byte {
		b = le.AppendUint32(b, uint32(max(w.opts.CPUs, 1)))
		b = le.AppendUint64(le.AppendUint64(b, 0), 1<<22)
		name := make([]byte, 128)
		copy(name[:127], w.opts.Hostname)
		b = append(b, name...)
		b = le.AppendUint64(b, uint64(w.opts.Boot))
		return append(b, make([]byte, 3*8)...)
	})
	if len(w.opts.Interfaces) > 0 {
		w.block(blockInterfacesV2, func(b []byte) []byte {
			for _, p := range w.opts.Interfaces {
				b = appendInterface(b, p)
			}
			return b
		})
	}
	if len(w.processes) == 0 {
		return
	}
	w.block(blockProcessV9, func(b []byte) []byte { return append(b, w.processes...) })
	for _, d := range w.descriptors {
		w.block(blockFDsV2, func(b []byte) []byte { return append(b, d...) })
	}
	w.block(blockUsersV2, func(b []byte) []byte { return append(b, w.accounts...) })
	w.processes, w.descriptors, w.accounts = nil, nil, nil
}

// learn adds to the tables what an event shows that no event before has told of.
func (w *Writer) learn(e *event.Event) {
	for _, t := range w.family(e.Thread) {
		w.processes = sized(w.processes, func(b []byte) []byte { return w.appendProcess(b, t) })
		if t.TID == t.Process.PID {
			w.descriptors = append(w.descriptors, appendFDs(nil, t))
		}
		w.accounts = w.appendAccounts(w.accounts, e, t.Process)
	}
}

// follow notes which threads an event makes or ends.
func (w *Writer) follow(e *event.Event) {
	switch e.Type {
	case event.SysClone, event.SysClone3, event.SysFork, event.SysVfork:
		switch p := e.Thread.Process; {
		case e.Ret == 0:
			w.known[e.Thread.TID] = true
		case e.Ret > 0 && e.Thread.TID == e.Thread.VTID && p.PID == p.VPID:
			w.known[e.Ret] = true // elsewhere it is a number of another pid namespace
		}
	case event.SysExecve, event.SysExecveat:
		if e.Ret == 0 {
			w.executed[e.Thread.Process.PID] = true
		}
	case event.EvtProcexit:
		delete(w.known, e.Thread.TID)
		delete(w.executed, e.Thread.TID)
	}
}

// thread tells of a thread that began unseen in a process that has executed a
// program: the tables tell of what there was before, and the program ended that. So
// it is told of by the event of its making.
func (w *Writer) thread(e *event.Event) {
	t, p := e.Thread, e.Thread.Process
	if t.TID == p.PID || w.known[t.TID] || !w.executed[p.PID] {
		return
	}
	w.known[t.TID] = true
	made := &event.Event{Type: event.SysClone, Time: e.Time, Thread: t, Params: []event.Param{
		{}, {Str: p.Exe}, {Strs: p.Args}, {Num: t.TID}, {Num: p.PID}, {Num: p.PPID}, {Null: true}, {Num: p.FDLimit},
		{Num: int64(t.PFMajor)}, {Num: int64(t.PFMinor)}, {Num: int64(p.VMSize)}, {Num: int64(p.VMRSS)}, {Num: int64(p.VMSwap)},
		{Str: p.Comm}, {Strs: p.Cgroups}, {Num: event.CloneThread | event.CloneFiles}, {Num: int64(p.UID)}, {Num: int64(p.GID)},
		{Num: t.VTID}, {Num: p.VPID}, {Num: p.PidnsInitStart},
	}}
	w.event(e.Time, t, exitCodes[event.SysClone], len(made.Params), func(i int, b []byte) []byte { return w.appendParam(b, made, i) })
}

func appendInterface(b []byte, p netip.Prefix) []byte {
	const name = "if"
	kind, bits := uint16(ifIPv4), 32
	if p.Addr().Is6() {
		kind, bits = ifIPv6, 128
	}
	mask := make([]byte, bits/8)
	for i := range p.Bits() {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	at := len(b)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint16(le.AppendUint16(b, kind), uint16(len(name)))
	b = append(append(append(b, p.Addr().AsSlice()...), mask...), mask...)
	b = append(le.AppendUint64(b, 0), name...)
	le.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}

// family is a thread, its main thread and the processes that it descends from,
// the oldest first.
func (w *Writer) family(t *event.Thread) []*event.Thread {
	var list []*event.Thread
	if t.TID != t.Process.PID && !w.known[t.TID] {
		w.known[t.TID] = true
		list = append(list, t)
	}
	for p := t.Process; p != nil && !w.known[p.PID]; p = p.Parent {
		w.known[p.PID] = true
		list = append(list, &event.Thread{TID: p.PID, VTID: p.VPID, Process: p})
	}
	slices.Reverse(list)
	return list
}

func (w *Writer) appendProcess(b []byte, t *event.Thread) []byte {
	p := t.Process
	flags := uint32(0)
	if t.TID != p.PID {
		flags = event.CloneThread | event.CloneFiles
	}
	parent := p.PPID
	if p.Parent != nil {
		parent = p.Parent.PID
	}
	for _, n := range []int64{t.TID, p.PID, parent, p.SID, p.VPGID} {
		b = le.AppendUint64(b, uint64(n))
	}
	b = appendText(appendText(appendText(b, p.Comm), p.Exe), p.ExePath)
	b = appendVector(b, p.Args)
	b = appendText(b, p.Cwd)
	b = le.AppendUint64(b, uint64(p.FDLimit))
	for _, n := range []uint32{flags, p.UID, p.GID, uint32(p.VMSize), uint32(p.VMRSS), uint32(p.VMSwap)} {
		b = le.AppendUint32(b, n)
	}
	b = le.AppendUint64(le.AppendUint64(b, t.PFMajor), t.PFMinor)
	b = appendVector(b, w.redacted(p.Env))
	b = le.AppendUint64(le.AppendUint64(b, uint64(t.VTID)), uint64(p.VPID))
	b = appendVector(b, p.Cgroups)
	b = appendText(b, p.Root)
	b = le.AppendUint64(b, uint64(p.PidnsInitStart))
	b = le.AppendUint32(le.AppendUint32(b, p.TTY), uint32(p.LoginUID))
	b = append(b, bit(p.ExeWritable))
	b = le.AppendUint64(le.AppendUint64(le.AppendUint64(b, p.CapInheritable), p.CapPermitted), p.CapEffective)
	b = append(b, bit(p.ExeUpperLayer))
	b = le.AppendUint64(le.AppendUint64(le.AppendUint64(b, p.ExeIno), uint64(p.ExeCtime)), uint64(p.ExeMtime))
	b = append(b, bit(p.ExeFromMemfd), bit(p.ExeLowerLayer))
	return le.AppendUint64(b, uint64(p.PGID))
}

func bit(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// redacted takes the values out of an environment that nobody may need.
func (w *Writer) redacted(env []string) []string {
	out := make([]string, len(env))
	for i, kv := range env {
		name, _, ok := strings.Cut(kv, "=")
		if out[i] = kv; ok && !w.opts.Env(name) {
			out[i] = name + "="
		}
	}
	return out
}

func appendFDs(b []byte, t *event.Thread) []byte {
	b = le.AppendUint64(b, uint64(t.TID))
	for n, f := range t.Process.FDs {
		typ, ok := fdCode(f.Type)
		if !ok || n < 0 {
			continue
		}
		b = sized(b, func(b []byte) []byte { return appendFD(b, n, typ, f) })
	}
	return b
}

func fdCode(t event.FDType) (uint8, bool) {
	if t == event.FDFile {
		return fdFileV2, true
	}
	for code, known := range fdTypes {
		if code != fdFile && known == t && t != event.FDUnknown {
			return uint8(code), true
		}
	}
	return 0, false
}

func appendFD(b []byte, n int64, typ uint8, f *event.FD) []byte {
	b = append(le.AppendUint64(le.AppendUint64(b, uint64(n)), f.Ino), typ)
	local, remote := f.Sock.Src, f.Sock.Dst
	if f.Server && f.HasTuple() {
		local, remote = remote, local
	}
	switch typ {
	case fdIPv4, fdIPv6:
		b = append(append(b, addrBytes(local, typ == fdIPv6)...), addrBytes(remote, typ == fdIPv6)...)
		b = le.AppendUint16(le.AppendUint16(b, local.Port()), remote.Port())
		return append(b, protocolCode(f.Proto))
	case fdIPv4Server, fdIPv6Server:
		if !f.Sock.Src.IsValid() {
			local = f.Sock.Dst
		} else {
			local = f.Sock.Src
		}
		b = append(b, addrBytes(local, typ == fdIPv6Server)...)
		return append(le.AppendUint16(b, local.Port()), protocolCode(f.Proto))
	case fdUnix:
		b = le.AppendUint64(le.AppendUint64(b, f.Sock.SrcPtr), f.Sock.DstPtr)
		return appendText(b, f.Name)
	case fdFileV2:
		b = appendText(le.AppendUint32(b, f.Flags), f.Name)
		return le.AppendUint32(b, f.Dev)
	}
	return appendText(b, f.Name)
}

func addrBytes(a netip.AddrPort, six bool) []byte {
	addr := a.Addr()
	if six {
		if !addr.IsValid() {
			addr = netip.IPv6Unspecified()
		}
		b := addr.As16()
		return b[:]
	}
	addr = addr.Unmap()
	if !addr.Is4() {
		addr = netip.IPv4Unspecified()
	}
	b := addr.As4()
	return b[:]
}

func protocolCode(p uint8) uint8 {
	switch p {
	case event.ProtoTCP:
		return 2
	case event.ProtoUDP:
		return 3
	case event.ProtoICMP:
		return 4
	case event.ProtoRaw:
		return 5
	}
	return 0
}

// appendAccounts adds the accounts of a process on the host to the user list.
func (w *Writer) appendAccounts(b []byte, e *event.Event, p *event.Process) []byte {
	if p.Container != nil {
		return b
	}
	ids := []uint32{p.UID}
	if p.LoginUID >= 0 {
		ids = append(ids, uint32(p.LoginUID))
	}
	for _, id := range ids {
		u, ok := e.Machine().User(p, id)
		if !ok || w.users[accountKey{"", id}] {
			continue
		}
		w.users[accountKey{"", id}] = true
		b = sized(b, func(b []byte) []byte {
			b = le.AppendUint32(le.AppendUint32(append(b, 0), id), p.GID)
			return appendText(appendText(appendText(b, u.Name), u.Home), u.Shell)
		})
	}
	if g, ok := e.Machine().Group(p, p.GID); ok && !w.groups[accountKey{"", p.GID}] {
		w.groups[accountKey{"", p.GID}] = true
		b = sized(b, func(b []byte) []byte { return appendText(le.AppendUint32(append(b, 1), p.GID), g) })
	}
	return b
}

// Event adds an event.
func (w *Writer) Event(e *event.Event) error {
	if w.err != nil {
		return w.err
	}
	code, ok := exitCodes[e.Type]
	if !ok && e.Def().Attrs&event.Generic == 0 {
		return nil // not one that recordings have
	}
	if e.Thread != nil && e.Thread.Process != nil {
		w.follow(e)
		w.thread(e)
		if !w.began || w.opts.Late {
			w.learn(e)
		}
	}
	if !w.began && !w.opts.Late {
		w.tables()
	}
	w.began = true
	w.introduce(e)
	if !ok {
		return w.generic(e)
	}
	def := e.Type.Def()
	w.event(e.Time, e.Thread, code, len(def.Params), func(i int, b []byte) []byte {
		if i >= len(e.Params) {
			return b
		}
		return w.appendParam(b, e, i)
	})
	if w.err != nil {
		return fmt.Errorf("recording: %w", w.err)
	}
	w.events++
	return nil
}

// exitCodes are the codes of the current versions of events.
var exitCodes = func() map[event.Type]uint16 {
	m := map[event.Type]uint16{}
	for c := range codes {
		if k := codes[c]; k.typ != event.None && k.typ != generic && k.is&(enter|old|dropped) == 0 {
			m[k.typ] = uint16(c)
		}
	}
	return m
}()

// syscallNumbers are Falco's numbers of system calls, by type.
var syscallNumbers = func() map[event.Type]uint16 {
	m := map[event.Type]uint16{}
	for n, t := range syscallTypes {
		if _, known := m[t]; !known && t != event.None {
			m[t] = uint16(n)
		}
	}
	return m
}()

const genericExit = 1

func (w *Writer) generic(e *event.Event) error {
	id, ok := syscallNumbers[e.Type]
	if !ok {
		return nil
	}
	w.event(e.Time, e.Thread, genericExit, 2, func(i int, b []byte) []byte {
		if i == 0 {
			return le.AppendUint16(b, id)
		}
		if len(e.Params) > 1 {
			return le.AppendUint16(b, uint16(e.Params[1].Num))
		}
		return le.AppendUint16(b, 0)
	})
	w.events++
	return w.err
}

func (w *Writer) event(at int64, t *event.Thread, code uint16, n int, param func(i int, b []byte) []byte) {
	tid := int64(-1)
	if t != nil {
		tid = t.TID
	}
	w.total++
	width, typ := 2, uint32(blockEventV2)
	if codes[code].is&large != 0 {
		width, typ = 4, blockEventV2Large
	}
	w.block(typ, func(b []byte) []byte {
		b = le.AppendUint16(b, 0) // processor
		start := len(b)
		b = le.AppendUint64(le.AppendUint64(b, uint64(at)), uint64(tid))
		b = le.AppendUint32(b, 0)
		b = le.AppendUint32(le.AppendUint16(b, code), uint32(n))
		lens := len(b)
		b = append(b, make([]byte, n*width)...)
		for i := range n {
			before := len(b)
			b = param(i, b)
			if width == 2 {
				b = b[:min(len(b), before+1<<15)]
				le.PutUint16(b[lens+2*i:], uint16(len(b)-before))
			} else {
				le.PutUint32(b[lens+4*i:], uint32(len(b)-before))
			}
		}
		le.PutUint32(b[start+16:], uint32(len(b)-start))
		return b
	})
}

// appendParam writes a parameter's value as the driver would.
func (w *Writer) appendParam(b []byte, e *event.Event, i int) []byte {
	d, p := &e.Type.Def().Params[i], &e.Params[i]
	if p.Null || p.Unknown != event.Known {
		return b
	}
	switch d.Type {
	case event.PCharBuf, event.PFSPath, event.PFSRelPath:
		return append(append(b, p.Str...), 0)
	case event.PByteBuf:
		if d.Name == "env" {
			return append(b, vector(w.redacted(envOf(p)))...)
		}
		if len(p.Strs) > 0 {
			return append(b, vector(p.Strs)...)
		}
		return append(b, p.Str...)
	case event.PSockAddr:
		return appendSockAddr(b, &p.Sock)
	case event.PSockTuple:
		return appendSockTuple(b, &p.Sock)
	case event.PFDList:
		b = le.AppendUint16(b, uint16(len(p.List)))
		for _, f := range p.List {
			b = le.AppendUint16(le.AppendUint64(b, uint64(f.FD)), uint16(f.Flags))
		}
		return b
	case event.PDynamic:
		b = append(b, p.Dyn)
		if int(p.Dyn) >= len(d.Dynamic) {
			return b
		}
		if t := d.Dynamic[p.Dyn].Type; t != event.PByteBuf {
			return appendNumber(b, t, p.Num)
		}
		return append(b, p.Str...)
	}
	return appendNumber(b, d.Type, p.Num)
}

func envOf(p *event.Param) []string {
	if len(p.Strs) > 0 {
		return p.Strs
	}
	return splitTexts([]byte(p.Str))
}

func appendNumber(b []byte, t event.ParamType, n int64) []byte {
	switch len(zero(t)) {
	case 1:
		return append(b, byte(n))
	case 2:
		return le.AppendUint16(b, uint16(n))
	case 4:
		return le.AppendUint32(b, uint32(n))
	}
	return le.AppendUint64(b, uint64(n))
}

func appendSockAddr(b []byte, a *event.SockAddr) []byte {
	b = append(b, byte(a.Family))
	switch a.Family {
	case familyUnix:
		return append(append(b, a.Path...), 0)
	case familyINET, familyINET6:
		b = append(b, addrBytes(a.Src, a.Family == familyINET6)...)
		return le.AppendUint16(b, a.Src.Port())
	}
	return b
}

func appendSockTuple(b []byte, a *event.SockAddr) []byte {
	b = append(b, byte(a.Family))
	switch a.Family {
	case familyUnix:
		b = le.AppendUint64(le.AppendUint64(b, a.SrcPtr), a.DstPtr)
		return append(append(b, a.Path...), 0)
	case familyINET, familyINET6:
		for _, end := range []netip.AddrPort{a.Src, a.Dst} {
			b = append(b, addrBytes(end, a.Family == familyINET6)...)
			b = le.AppendUint16(b, end.Port())
		}
	}
	return b
}

// introduce tells of accounts and containers that the event is the first to
// show, before the event.
func (w *Writer) introduce(e *event.Event) {
	if e.Thread == nil || e.Thread.Process == nil {
		return
	}
	p := e.Thread.Process
	container := ""
	if p.Container != nil {
		container = p.Container.ID
		w.containerAdded(e.Time, p.Container)
	}
	users, groups := []uint32{p.UID}, []uint32{p.GID}
	if p.LoginUID >= 0 {
		users = append(users, uint32(p.LoginUID))
	}
	def := e.Type.Def()
	for i := range min(len(def.Params), len(e.Params)) {
		switch {
		case e.Params[i].Null:
		case def.Params[i].Type == event.PUID:
			users = append(users, uint32(e.Params[i].Num))
		case def.Params[i].Type == event.PGID:
			groups = append(groups, uint32(e.Params[i].Num))
		}
	}
	for _, id := range users {
		k := accountKey{container, id}
		if w.users[k] {
			continue
		}
		w.users[k] = true
		if u, ok := e.Machine().User(p, id); ok {
			w.userAdded(e.Time, id, p.GID, u, container)
		}
	}
	for _, id := range groups {
		k := accountKey{container, id}
		if w.groups[k] {
			continue
		}
		w.groups[k] = true
		if g, ok := e.Machine().Group(p, id); ok {
			w.event(e.Time, nil, exitCodes[event.EvtGroupadded], 3, func(i int, b []byte) []byte {
				return [](func([]byte) []byte){
					func(b []byte) []byte { return le.AppendUint32(b, id) },
					func(b []byte) []byte { return append(append(b, g...), 0) },
					func(b []byte) []byte { return append(append(b, container...), 0) },
				}[i](b)
			})
		}
	}
}

func (w *Writer) userAdded(at int64, uid, gid uint32, u *event.User, container string) {
	w.event(at, nil, exitCodes[event.EvtUseradded], 6, func(i int, b []byte) []byte {
		switch i {
		case 0:
			return le.AppendUint32(b, uid)
		case 1:
			return le.AppendUint32(b, gid)
		}
		return append(append(b, []string{u.Name, u.Home, u.Shell, container}[i-2]...), 0)
	})
}

// containerAdded tells of a container by the event by which Falco's container
// plugin does, which reads it again. Of one that no engine told of there is nothing
// to tell.
func (w *Writer) containerAdded(at int64, c *event.Container) {
	if w.containers[c.ID] || !c.Complete {
		return
	}
	w.containers[c.ID] = true
	data, err := json.Marshal(infoOf(c, w.redacted))
	if err != nil {
		w.err = fmt.Errorf("telling of a container: %w", err)
		return
	}
	w.event(at, nil, exitCodes[event.EvtAsyncevent], 3, func(i int, b []byte) []byte {
		switch i {
		case 0:
			return le.AppendUint32(b, 0) // no plugin's own source: that of system calls
		case 1:
			return append(append(b, containerEventName...), 0)
		}
		return append(append(b, data...), 0)
	})
}
