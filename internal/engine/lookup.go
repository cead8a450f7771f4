// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/falcotest/go-falcotest/internal/event"
)

// UserName looks in the passwd file of the process's container.
func (s *Syscall) UserName(p *event.Process, uid uint32) (string, bool) {
	u, ok := s.users.user(p, uid)
	if !ok {
		return "", false
	}
	return u.name, true
}

// GroupName looks in the group file of the process's container.
func (s *Syscall) GroupName(p *event.Process, gid uint32) (string, bool) {
	return s.users.group(p, gid)
}

// Comm is the name of a process or thread: of those that the event knows, or
// else of what runs now.
func (s *Syscall) Comm(e *event.Event, pid int64) string {
	p := proc(e)
	if p != nil && e.Thread.TID == pid {
		return p.Comm
	}
	for ; p != nil; p = p.Parent {
		if p.PID == pid {
			return p.Comm
		}
	}
	name, _ := s.otherProcess(pid, leaderComm)
	return name
}

// otherProcess reads what /proc says of a process that is not among the event's
// own: a session leader outside of the traced tree, or the target of a signal.
func (s *Syscall) otherProcess(pid int64, what leaderText) (string, bool) {
	if pid <= 0 || runtime.GOOS != "linux" {
		return "", false
	}
	dir := "/proc/" + itoa(pid)
	switch what {
	case leaderExePath:
		exe, err := os.Readlink(filepath.Join(dir, "exe"))
		return exe, err == nil
	case leaderExe:
		b, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		exe, _, _ := strings.Cut(string(b), "\x00")
		return exe, err == nil
	}
	b, err := os.ReadFile(filepath.Join(dir, "comm"))
	return strings.TrimSuffix(string(b), "\n"), err == nil
}

// isLocal tells whether an address is one of this machine's, or of the event's
// container. Of a container whose address is not known, Falco takes none for
// local, and no IPv6 address of any container.
func (s *Syscall) isLocal(e *event.Event, a netip.Addr) bool {
	if p := proc(e); p != nil && p.Container != nil {
		if p.Container.IP == "" || a.Is6() {
			return false
		}
		if ip, err := netip.ParseAddr(p.Container.IP); err == nil && ip == a {
			return true
		}
	}
	return s.local.has(a)
}

// localAddrs knows the addresses of this machine's interfaces. Falco compares
// the first 64 bits of IPv6 addresses.
type localAddrs struct {
	mu    sync.Mutex
	addrs atomic.Pointer[map[netip.Addr]bool]
	read  time.Time
}

func (l *localAddrs) has(a netip.Addr) bool {
	if a = localKey(a); a.IsLoopback() {
		return true
	}
	if m := l.addrs.Load(); m != nil && (*m)[a] {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.addrs.Load() == nil || time.Since(l.read) > time.Second { // interfaces come and go
		m := map[netip.Addr]bool{}
		if list, err := net.InterfaceAddrs(); err == nil {
			for _, i := range list {
				if p, err := netip.ParsePrefix(i.String()); err == nil {
					m[localKey(p.Addr())] = true
				}
			}
		}
		l.addrs.Store(&m)
		l.read = time.Now()
	}
	return (*l.addrs.Load())[a]
}

func localKey(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

// hostsFile knows the names in /etc/hosts: that of an event's thread, which in a
// container or a mount namespace is not the machine's, and else the machine's.
type hostsFile struct {
	once   sync.Once
	byAddr map[netip.Addr][]string
}

// names returns the names of an address. The thread stands still while its event
// is evaluated, so that its file is there to read.
func (h *hostsFile) names(e *event.Event, a netip.Addr) []string {
	if e.Thread != nil {
		b, err := os.ReadFile("/proc/" + itoa(e.Thread.TID) + "/root/etc/hosts")
		if err == nil {
			return parseHosts(string(b))[a.Unmap()]
		}
	}
	h.once.Do(func() {
		b, err := os.ReadFile("/etc/hosts")
		if err == nil {
			h.byAddr = parseHosts(string(b))
		}
	})
	return h.byAddr[a.Unmap()]
}

func parseHosts(text string) map[netip.Addr][]string {
	m := map[netip.Addr][]string{}
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		if a, err := netip.ParseAddr(f[0]); err == nil {
			m[a.Unmap()] = append(m[a.Unmap()], f[1:]...)
		}
	}
	return m
}

// textCache remembers texts made of numbers, of which programs use few: the
// names of flags and of capabilities. It is bounded and safe for concurrent use.
type textCache struct {
	slots [256]atomic.Pointer[cachedText]
}

type cachedText struct {
	key  textKey
	text string
}

type textKey struct {
	table uint32 // what the number is of
	value uint64
}

func (c *textCache) get(k textKey, make func() string) string {
	slot := &c.slots[k.hash()]
	if t := slot.Load(); t != nil && t.key == k {
		return t.text
	}
	t := &cachedText{k, make()}
	slot.Store(t)
	return t.text
}

func (k textKey) hash() uint8 {
	return uint8((k.value ^ uint64(k.table)*0x9E3779B97F4A7C15) * 0xBF58476D1CE4E5B9 >> 56)
}

var texts textCache

const capTable = 1 << 31

func capNames(set uint64) string {
	if set == 0 {
		return ""
	}
	return texts.get(textKey{capTable, set}, func() string { return event.CapNames(set) })
}

// paramText is evt.arg's text of a parameter. That of flags, enumerations and
// modes depends on the number alone.
func (s *Syscall) paramText(e *event.Event, i int) string {
	d, p := &e.Type.Def().Params[i], &e.Params[i]
	if !p.Null && (d.Type.IsFlags() || d.Type.IsEnum()) {
		k := textKey{uint32(e.Type)<<8 | uint32(i), uint64(p.Num)}
		if t := texts.slots[k.hash()].Load(); t != nil && t.key == k {
			return t.text
		}
		return texts.get(k, func() string { return e.ParamValue(i, s) })
	}
	return e.ParamValue(i, s)
}
