// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"net/netip"
	"strings"

	"github.com/falcotest/go-falcotest/internal/event"
)

// state is what is known at a point of a recording.
type state struct {
	info       machineInfo
	threads    map[int64]*thread
	groups     map[int64]*group
	generation uint64 // counts the changes of who is whose parent
	walk       uint64 // counts the searches for parents
	interfaces []interfaceEntry
	users      map[uint32]*event.User // of the host
	nGroups    map[uint32]string
	accounts   int
	containers map[string]*event.Container
	strings    interner
	serverPort map[uint16]bool // of sockets in the tables that listen
	inTables   bool
	pool       pool
	sorted     []*event.FD // of a process that is copied
	lists      map[string][]string
	listBytes  int
	joined     map[[2]string]string // paths, by directory and what was given
	inGroups   map[string]membership
	first      int64 // time of the first event
	opening    bool  // nothing but what tells of accounts and containers has come

	removeTID  int64 // the thread that ended in the event before
	removing   bool
	removeFDs  []int64 // that were closed in it
	removeFrom int64
}

func newState() *state {
	s := &state{generation: 1}
	s.section()
	return s
}

// section begins a recording, or another one in the same file.
func (s *state) section() {
	generation, walk := s.generation+1, s.walk
	*s = state{
		generation: generation, walk: walk, threads: map[int64]*thread{}, groups: map[int64]*group{},
		users: map[uint32]*event.User{}, nGroups: map[uint32]string{},
		containers: map[string]*event.Container{}, strings: s.strings, serverPort: map[uint16]bool{}, inTables: true, opening: true,
	}
}

func (s *state) machine(m machineInfo) { s.info = m }

func (s *state) iface(i interfaceEntry) {
	if len(s.interfaces) < maxFDs {
		s.interfaces = append(s.interfaces, i)
	}
}

func (s *state) account(a accountEntry) {
	if a.group {
		s.setGroup(a.gid, a.name)
		return
	}
	s.setUser(a.uid, &event.User{Name: a.name, Home: a.home, Shell: a.shell})
}

func (s *state) setUser(uid uint32, u *event.User) {
	if s.users[uid] == nil {
		if s.accounts >= maxAccounts {
			return
		}
		s.accounts++
	}
	s.users[uid] = u
}

func (s *state) setGroup(gid uint32, name string) {
	if _, ok := s.nGroups[gid]; !ok {
		if s.accounts >= maxAccounts {
			return
		}
		s.accounts++
	}
	s.nGroups[gid] = name
}

// process adds a thread from the process list.
func (s *state) process(p *processEntry) {
	if len(s.threads) >= maxThreads {
		return
	}
	t := newThread(p.tid, &s.pool)
	t.setIDs(p.tid, p.pid, p.ptid)
	t.flags = p.flags
	t.VTID = p.vtid
	t.PFMajor, t.PFMinor = p.pfMajor, p.pfMinor
	q := &t.proc
	q.VPID, q.SID, q.VPGID, q.PGID = p.vpid, p.sid, p.vpgid, p.pgid
	q.Comm, q.Exe, q.Args = p.comm, p.exe, p.args
	t.setExePath(p.exePath)
	if t.isMain() {
		t.setEnv(p.env)
		s.updateCwd(t, p.cwd)
	}
	q.Root = p.root
	t.setFDLimit(p.fdLimit)
	q.UID, q.GID = p.uid, p.gid
	q.LoginUID = loginUID(p.loginUID)
	q.VMSize, q.VMRSS, q.VMSwap = uint64(p.vmSize), uint64(p.vmRSS), uint64(p.vmSwap)
	q.TTY = p.tty
	q.PidnsInitStart = p.pidnsStart
	q.ExeWritable, q.ExeUpperLayer, q.ExeLowerLayer, q.ExeFromMemfd = p.writable, p.upper, p.lower, p.memfd
	q.CapInheritable, q.CapPermitted, q.CapEffective = p.inheritable, p.permitted, p.effective
	q.ExeIno, q.ExeCtime, q.ExeMtime = p.ino, p.ctime, p.mtime
	s.setCgroups(t, p.cgroups)
	s.put(t)
}

func loginUID(n uint32) int64 {
	if n == nobodyID {
		return -1
	}
	return int64(n)
}

// setCgroups also tells which container the thread is in.
func (s *state) setCgroups(t *thread, groups []string) {
	list := make([]string, 0, len(groups))
	for _, g := range groups {
		subsys, path, ok := strings.Cut(g, "=")
		if !ok {
			return
		}
		if i := strings.Index(subsys, "_cgroup"); i >= 0 {
			subsys = subsys[:i] + subsys[i+len("_cgroup"):]
		}
		switch subsys {
		case "perf":
			subsys = "perf_event"
		case "mem":
			subsys = "memory"
		case "io":
			subsys = "blkio"
		}
		list = append(list, s.strings.text(subsys+"="+path))
	}
	t.proc.Cgroups = list
	t.proc.Container = s.containerOf(list)
}

// membership is what a vector of control groups says.
type membership struct {
	groups    []string
	container *event.Container
}

// cgroups is setCgroups of a vector as events have it, remembered since all
// processes have the same few.
func (s *state) cgroups(t *thread, b []byte) {
	m, ok := s.inGroups[string(b)]
	if !ok {
		before := membership{t.proc.Cgroups, t.proc.Container}
		t.proc.Cgroups = nil
		s.setCgroups(t, s.texts(b))
		m = membership{t.proc.Cgroups, t.proc.Container}
		t.proc.Cgroups, t.proc.Container = before.groups, before.container
		if s.inGroups == nil || len(s.inGroups) >= 1024 {
			s.inGroups = map[string]membership{}
		}
		s.inGroups[string(b)] = m
	}
	if m.groups != nil { // they could be read
		t.proc.Cgroups, t.proc.Container = m.groups, m.container
	}
}

func (s *state) tablesEnd() {
	if !s.inTables {
		return
	}
	s.inTables = false
	for _, t := range s.threads {
		s.relate(t)
	}
	for _, t := range s.threads {
		s.orientSockets(t)
	}
}

// fd adds a descriptor from the list of a process.
func (s *state) fd(tid int64, e *fdEntry) {
	t := s.threads[tid]
	if t == nil || len(t.fds) >= maxFDs {
		return
	}
	f := &event.FD{Num: e.num, Ino: e.ino, Name: e.name, Flags: e.flags, Dev: e.dev, Proto: protocol(e.proto), Proto6: event.ProtoUnknown}
	switch e.typ {
	case fdIPv4, fdIPv6:
		f.Type, f.Sock = event.FDIPv4, event.SockAddr{Family: familyINET, Src: e.src, Dst: e.dst}
		if e.typ == fdIPv6 {
			if isMapped(e.src.Addr()) && isMapped(e.dst.Addr()) {
				f.Sock.Src, f.Sock.Dst = unmapPort(e.src), unmapPort(e.dst)
			} else {
				f.Type, f.Sock.Family = event.FDIPv6, familyINET6
			}
		}
		f.NoRole = true
		f.Connected = f.Proto == event.ProtoTCP
		if f.Type == event.FDIPv4 {
			s.inferAddress(f)
		}
		f.Name = event.TupleText(&f.Sock)
	case fdIPv4Server, fdIPv6Server:
		f.Type, f.Sock = event.FDIPv4Server, event.SockAddr{Family: familyINET, Src: e.src}
		if e.typ == fdIPv6Server {
			f.Type, f.Sock.Family = event.FDIPv6Server, familyINET6
		}
		f.Name = event.EndpointText(e.src)
		s.serverPort[e.src.Port()] = true
	case fdUnix:
		f.Type = event.FDUnix
		f.Sock = event.SockAddr{Family: familyUnix, SrcPtr: e.source, DstPtr: e.destination, Path: e.name}
		f.Server, f.Client = e.name != "", e.name == ""
	case fdUnknown:
		return
	default:
		f.Type = fdTypes[e.typ]
	}
	t.insert(e.num, f)
}

var fdTypes = [...]event.FDType{
	fdFile: event.FDFile, fdFileV2: event.FDFile, fdDirectory: event.FDDirectory, fdPipe: event.FDPipe,
	fdEventFD: event.FDEvent, fdUnsupported: event.FDUnsupported, fdSignal: event.FDSignal,
	fdEventPoll: event.FDEventPoll, fdInotify: event.FDInotify, fdTimer: event.FDTimer, fdNetlink: event.FDNetlink,
	fdBPF: event.FDBPF, fdUserfault: event.FDUserfault, fdIOUring: event.FDIOUring, fdMemfd: event.FDMemfd,
	fdPidfd: event.FDPidfd, fdUnix: event.FDUnix, fdIPv4: event.FDIPv4, fdIPv6: event.FDIPv6,
	fdIPv4Server: event.FDIPv4Server, fdIPv6Server: event.FDIPv6Server,
}

// protocol translates the numbers of protocols in recordings.
func protocol(n uint8) uint8 {
	switch n {
	case 2:
		return event.ProtoTCP
	case 3:
		return event.ProtoUDP
	case 4:
		return event.ProtoICMP
	case 5:
		return event.ProtoRaw
	}
	return event.ProtoUnknown
}

// orientSockets tells, of the connections that a thread of the tables had, which
// end is the server's: that whose port some process listens on.
func (s *state) orientSockets(t *thread) {
	for _, f := range t.fds {
		if f.Type != event.FDIPv4 {
			continue
		}
		f.NoRole = false
		if !s.serverPort[f.Sock.Src.Port()] {
			f.Client = true
			continue
		}
		f.Server = true
		f.Sock.Src, f.Sock.Dst = f.Sock.Dst, f.Sock.Src
		f.Name = event.TupleText(&f.Sock)
	}
}

const (
	familyUnix  = 1
	familyINET  = 2
	familyINET6 = 10
)

// isMapped: to Falco all zeros stands for IPv4's all zeros.
func isMapped(a netip.Addr) bool { return a.Is4In6() || a == netip.IPv6Unspecified() }

func unmapPort(a netip.AddrPort) netip.AddrPort {
	addr := a.Addr()
	if addr == netip.IPv6Unspecified() {
		addr = netip.IPv4Unspecified()
	}
	return netip.AddrPortFrom(addr.Unmap(), a.Port())
}

// inferAddress replaces an end that is all zeros by an address of the machine
// from which the other end can be reached.
func (s *state) inferAddress(f *event.FD) {
	src, dst := f.Sock.Src, f.Sock.Dst
	switch {
	case src.Addr().IsUnspecified() || !src.IsValid():
		a := s.localAddress(dst.Addr())
		if !a.IsValid() || a == dst.Addr() && src.Port() == dst.Port() {
			return
		}
		f.Sock.Src = netip.AddrPortFrom(a, src.Port())
	case dst.Addr().IsUnspecified() || !dst.IsValid():
		a := s.localAddress(src.Addr())
		if !a.IsValid() || a == src.Addr() && src.Port() == dst.Port() {
			return
		}
		f.Sock.Dst = netip.AddrPortFrom(a, dst.Port())
	}
}

func (s *state) localAddress(to netip.Addr) netip.Addr {
	var same, other netip.Addr
	for i := range s.interfaces {
		e := &s.interfaces[i]
		if e.addr.Is4() != to.Is4() {
			continue
		}
		if e.addr == to {
			return to
		}
		if !same.IsValid() && sameNetwork(e, to) {
			same = e.addr
		}
		if !other.IsValid() && !e.addr.IsLoopback() {
			other = e.addr
		}
	}
	if same.IsValid() {
		return same
	}
	return other
}

func sameNetwork(e *interfaceEntry, a netip.Addr) bool {
	x, y, m := e.addr.AsSlice(), a.AsSlice(), e.mask.AsSlice()
	if e.addr.Is6() { // Falco compares the first 64 bits
		return string(x[:8]) == string(y[:8])
	}
	for i := range x {
		if x[i]&m[i] != y[i]&m[i] {
			return false
		}
	}
	return true
}
