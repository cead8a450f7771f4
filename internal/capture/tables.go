// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// machineInfo is what a recording says of the machine that it was made on.
type machineInfo struct {
	cpus     uint32
	memory   uint64
	maxPID   uint64
	hostname string
	boot     int64 // ns since the epoch
}

const machineInfoLen = 4 + 8 + 8 + 128 + 4*8

// processEntry is a thread in the process list.
type processEntry struct {
	tid, pid, ptid   int64
	sid, vpgid, pgid int64
	comm, exe        string
	exePath          string
	args, env        []string
	cwd, root        string
	fdLimit          int64
	flags            uint32
	uid, gid         uint32
	vmSize, vmRSS    uint32
	vmSwap           uint32
	pfMajor, pfMinor uint64
	vtid, vpid       int64
	cgroups          []string
	pidnsStart       int64
	tty, loginUID    uint32
	writable         bool
	upper, lower     bool
	memfd            bool
	inheritable      uint64
	permitted        uint64
	effective        uint64
	ino              uint64
	ctime, mtime     int64
}

// fdEntry is a descriptor in the list of a process.
type fdEntry struct {
	num         int64
	ino         uint64
	typ         uint8
	src, dst    netip.AddrPort
	proto       uint8
	source      uint64 // of sockets of the Unix domain: kernel addresses
	destination uint64
	name        string
	flags, dev  uint32
}

// The types of descriptors in recordings.
const (
	fdUnknown = iota
	fdFile
	fdDirectory
	fdIPv4
	fdIPv6
	fdIPv4Server
	fdIPv6Server
	fdPipe
	fdUnix
	fdEventFD
	fdUnsupported
	fdSignal
	fdEventPoll
	fdInotify
	fdTimer
	fdNetlink
	fdFileV2
	fdBPF
	fdUserfault
	fdIOUring
	fdMemfd
	fdPidfd
)

// interfaceEntry is an address of a network interface.
type interfaceEntry struct {
	addr, mask, broadcast netip.Addr
	name                  string
}

// accountEntry is a user or a group.
type accountEntry struct {
	group             bool
	uid, gid          uint32
	name, home, shell string
}

// body reads what is in a block. After the first failure all reads give zeros.
type body struct {
	s    *stream
	left int64
	err  error
}

var errTableEntry = errors.New("an entry is longer than its block or than its own length")

func (b *body) take(n int) []byte {
	if b.err != nil {
		return zeroBlock[:min(n, len(zeroBlock))]
	}
	if int64(n) > b.left {
		b.err = errTableEntry
		return zeroBlock[:min(n, len(zeroBlock))]
	}
	p, err := b.s.take(n)
	if err != nil {
		b.err = err
		return zeroBlock[:min(n, len(zeroBlock))]
	}
	b.left -= int64(n)
	return p
}

var zeroBlock = make([]byte, machineInfoLen)

func (b *body) u8() uint8   { return b.take(1)[0] }
func (b *body) u16() uint16 { return le.Uint16(b.take(2)) }
func (b *body) u32() uint32 { return le.Uint32(b.take(4)) }
func (b *body) u64() uint64 { return le.Uint64(b.take(8)) }
func (b *body) i64() int64  { return int64(b.u64()) }

// text is a string with its length before it.
func (b *body) text() string {
	n := int(b.u16())
	if b.err != nil || n == 0 {
		return ""
	}
	p := b.take(n)
	if b.err != nil {
		return ""
	}
	return string(cutNull(p))
}

func cutNull(p []byte) []byte {
	for i, c := range p {
		if c == 0 {
			return p[:i]
		}
	}
	return p
}

// texts is a vector of strings, each with a zero byte at its end.
func (b *body) texts() []string {
	n := int(b.u16())
	if b.err != nil || n == 0 {
		return nil
	}
	p := b.take(n)
	if b.err != nil {
		return nil
	}
	return splitTexts(p)
}

func splitTexts(p []byte) []string {
	if len(p) > 0 && p[len(p)-1] == 0 {
		p = p[:len(p)-1]
	}
	if len(p) == 0 {
		return nil
	}
	return strings.Split(string(p), "\x00")
}

// entry limits reads to an entry that begins with its own length, and end passes
// over what is left of it.
type entry struct {
	*body
	outer int64
}

func (b *body) entry() entry { return b.entryOf(int64(b.u32()) - 4) }

func (b *body) entryOf(n int64) entry {
	if b.err == nil && (n < 0 || n > b.left) {
		b.err = errTableEntry
	}
	e := entry{b, b.left - n}
	if b.err == nil {
		b.left = n
	}
	return e
}

func (e entry) end() {
	if e.err == nil {
		e.err = e.s.skip(e.left)
	}
	e.left = e.outer
}

// table reads a block that is no event.
func (r *Reader) table(typ, total uint32) error {
	limit := uint32(maxTableBlock)
	read := r.tableReader(typ)
	if read == nil {
		limit = maxSkippedBlock
	}
	if total > limit {
		return fmt.Errorf("it says that it is %d bytes long, which is more than %d", total, limit)
	}
	if typ != blockSection && !r.began {
		return ErrNotCapture
	}
	if err := r.s.skip(8); err != nil {
		return err
	}
	b := &body{s: r.s, left: int64(total) - blockOverhead}
	if read != nil {
		if err := read(b); err != nil {
			return err
		}
	}
	if b.err != nil {
		return b.err
	}
	if err := r.s.skip(b.left); err != nil {
		return err
	}
	trailer, err := r.s.take(4)
	if err != nil {
		return err
	}
	if n := le.Uint32(trailer); n != total {
		return fmt.Errorf("it begins with the length %d and ends with %d", total, n)
	}
	return nil
}

func (r *Reader) tableReader(typ uint32) func(*body) error {
	switch typ {
	case blockSection:
		return r.section
	case blockMachine, blockMachineInt:
		return r.machine
	case blockProcessV1, blockProcessV1Int:
		return func(b *body) error { return r.processes(b, 1) }
	case blockProcessV2, blockProcessV2Int:
		return func(b *body) error { return r.processes(b, 2) }
	case blockProcessV3, blockProcessV3Int:
		return func(b *body) error { return r.processes(b, 3) }
	case blockProcessV4, blockProcessV5, blockProcessV6, blockProcessV7, blockProcessV8, blockProcessV9:
		return func(b *body) error { return r.processes(b, int(typ-blockProcessV4)+4) }
	case blockFDs, blockFDsInt:
		return func(b *body) error { return r.fds(b, false) }
	case blockFDsV2:
		return func(b *body) error { return r.fds(b, true) }
	case blockInterfaces, blockInterfacesInt:
		return func(b *body) error { return r.interfaces(b, false) }
	case blockInterfacesV2:
		return func(b *body) error { return r.interfaces(b, true) }
	case blockUsers, blockUsersInt:
		return func(b *body) error { return r.users(b, false) }
	case blockUsersV2:
		return func(b *body) error { return r.users(b, true) }
	}
	return nil
}

func (r *Reader) section(b *body) error {
	magic, major, minor := b.u32(), b.u16(), b.u16()
	switch {
	case b.err != nil:
		return b.err
	case magic == 0x4D3C2B1A:
		return ErrByteOrder
	case magic != byteOrderMagic:
		return ErrNotCapture
	case major > majorVersion:
		return fmt.Errorf("%w: %d.%d, and %d is the newest that Falco 0.43 reads", ErrVersion, major, minor, majorVersion)
	}
	r.began = true
	r.tables.section()
	return nil
}

func (r *Reader) machine(b *body) error {
	m := machineInfo{cpus: b.u32(), memory: b.u64(), maxPID: b.u64()}
	m.hostname = string(cutNull(b.take(128)))
	m.boot = b.i64()
	if b.err == nil {
		r.tables.machine(m)
	}
	return b.err
}

func (r *Reader) processes(b *body, version int) error {
	for b.err == nil && b.left >= 4 {
		p := processEntry{sid: -1, vpgid: -1, pgid: -1, vtid: -1, vpid: -1, loginUID: 1<<32 - 1}
		var e entry
		if version >= 9 {
			e = b.entry()
		}
		readProcess(b, &p, version)
		if version >= 9 {
			readProcessTail(b, &p)
			e.end()
		}
		if b.err == nil {
			r.tables.process(&p)
		}
	}
	return b.err
}

func readProcess(b *body, p *processEntry, version int) {
	p.tid, p.pid, p.ptid = b.i64(), b.i64(), b.i64()
	if version >= 6 {
		p.sid = b.i64()
	}
	if version >= 8 {
		p.vpgid = b.i64()
	}
	p.comm, p.exe = b.text(), b.text()
	if version >= 7 {
		p.exePath = b.text()
	}
	p.args = b.texts()
	p.cwd = b.text()
	p.fdLimit = b.i64()
	p.flags, p.uid, p.gid = b.u32(), b.u32(), b.u32()
	if version >= 2 {
		p.vmSize, p.vmRSS, p.vmSwap = b.u32(), b.u32(), b.u32()
		p.pfMajor, p.pfMinor = b.u64(), b.u64()
	}
	if version >= 3 {
		p.env = b.texts()
	}
	if version >= 4 {
		p.vtid, p.vpid = b.i64(), b.i64()
		p.cgroups = b.texts()
	}
	if version >= 5 {
		p.root = b.text()
	}
}

// readProcessTail reads what was added after the ninth version: each is there
// when the entry is long enough.
func readProcessTail(b *body, p *processEntry) {
	// Entries of libraries before 0.10 had neither of the first two, which would
	// be mistaken for what came next.
	if b.left > 29 {
		b.optional(8, func() { p.pidnsStart = b.i64() })
		b.optional(4, func() { p.tty = b.u32() })
	}
	b.optional(4, func() { p.loginUID = b.u32() })
	b.optional(1, func() { p.writable = b.u8() != 0 })
	b.optional(8, func() { p.inheritable = b.u64() })
	b.optional(8, func() { p.permitted = b.u64() })
	b.optional(8, func() { p.effective = b.u64() })
	b.optional(1, func() { p.upper = b.u8() != 0 })
	b.optional(8, func() { p.ino = b.u64() })
	b.optional(8, func() { p.ctime = b.i64() })
	b.optional(8, func() { p.mtime = b.i64() })
	b.optional(1, func() { p.memfd = b.u8() != 0 })
	b.optional(1, func() { p.lower = b.u8() != 0 })
	b.optional(8, func() { p.pgid = b.i64() })
}

func (b *body) optional(n int64, read func()) {
	if b.err == nil && b.left >= n {
		read()
	}
}

func (r *Reader) fds(b *body, sized bool) error {
	tid := b.i64()
	for b.err == nil && b.left >= 4 {
		var f fdEntry
		var e entry
		if sized {
			e = b.entry()
		}
		readFD(b, &f, sized)
		if sized {
			e.end()
		}
		if b.err == nil {
			r.tables.fd(tid, &f)
		}
	}
	return b.err
}

func (b *body) ipv4() netip.Addr { return netip.AddrFrom4([4]byte(b.take(4))) }
func (b *body) ipv6() netip.Addr { return netip.AddrFrom16([16]byte(b.take(16))) }

func readFD(b *body, f *fdEntry, sized bool) {
	f.num, f.ino, f.typ = b.i64(), b.u64(), b.u8()
	switch f.typ {
	case fdIPv4:
		src, dst := b.ipv4(), b.ipv4()
		f.src, f.dst = netip.AddrPortFrom(src, b.u16()), netip.AddrPortFrom(dst, b.u16())
		f.proto = b.u8()
	case fdIPv6:
		src, dst := b.ipv6(), b.ipv6()
		f.src, f.dst = netip.AddrPortFrom(src, b.u16()), netip.AddrPortFrom(dst, b.u16())
		f.proto = b.u8()
	case fdIPv4Server:
		f.src = netip.AddrPortFrom(b.ipv4(), b.u16())
		f.proto = b.u8()
	case fdIPv6Server:
		f.src = netip.AddrPortFrom(b.ipv6(), b.u16())
		f.proto = b.u8()
	case fdUnix:
		f.source, f.destination = b.u64(), b.u64()
		f.name = b.text()
	case fdFileV2:
		f.flags = b.u32()
		f.name = b.text()
		if sized {
			b.optional(4, func() { f.dev = b.u32() })
		}
	case fdUnknown:
	case fdPipe, fdFile, fdDirectory, fdUnsupported, fdEventFD, fdSignal, fdEventPoll, fdInotify, fdTimer, fdNetlink,
		fdBPF, fdUserfault, fdIOUring, fdMemfd, fdPidfd:
		f.name = b.text()
	default:
		f.name = fmt.Sprintf("unknown-type:[%d]", f.typ)
		f.typ = fdUnsupported
	}
}

// The kinds of interface addresses; those before 64 bits of link speed were added
// come last.
const (
	ifIPv4 = iota + 1
	ifIPv6
	ifIPv4NoSpeed
	ifIPv6NoSpeed
)

func (r *Reader) interfaces(b *body, sized bool) error {
	for b.err == nil && b.left >= 4 {
		var e entry
		if sized {
			e = b.entryOf(int64(b.u32())) // of these, the length does not count itself
		}
		var i interfaceEntry
		kind, nameLen := b.u16(), int(b.u16())
		switch kind {
		case ifIPv4, ifIPv4NoSpeed:
			i.addr, i.mask, i.broadcast = b.ipv4(), b.ipv4(), b.ipv4()
		case ifIPv6, ifIPv6NoSpeed:
			i.addr, i.mask, i.broadcast = b.ipv6(), b.ipv6(), b.ipv6()
		default:
			if b.err == nil {
				b.err = fmt.Errorf("an interface of unknown kind %d", kind)
			}
			return b.err
		}
		if kind <= ifIPv6 {
			b.u64() // link speed
		}
		i.name = string(cutNull(b.take(nameLen)))
		if sized {
			e.end()
		}
		if b.err == nil {
			r.tables.iface(i)
		}
	}
	return b.err
}

func (r *Reader) users(b *body, sized bool) error {
	for b.err == nil && b.left >= 4 {
		var e entry
		if sized {
			e = b.entry()
		}
		var a accountEntry
		if b.u8() == 0 {
			a.uid, a.gid = b.u32(), b.u32()
			a.name, a.home, a.shell = b.text(), b.text(), b.text()
		} else {
			a.group = true
			a.gid = b.u32()
			a.name = b.text()
		}
		if sized {
			e.end()
		}
		if b.err == nil {
			r.tables.account(a)
		}
	}
	return b.err
}
