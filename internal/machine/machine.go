// SPDX-License-Identifier: Apache-2.0

// Package machine is the [event.World] of the machine that this process runs
// on: its accounts and those of its containers, its other processes, the
// addresses of its interfaces, its hosts files. Everything is looked up when it
// is asked for, on Linux in /proc; elsewhere nothing of processes is known.
//
// It imports internal/event. The tracer puts it into the events it makes;
// recordings have a World of their own (internal/capture).
package machine

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/falcotest/go-falcotest/internal/event"
)

// World is this machine as it is now. It is safe for concurrent use.
type World struct {
	users *accounts
	local localAddrs
	hosts hostsFile
}

// New returns this machine's World.
func New() *World { return &World{users: newAccounts()} }

var _ event.World = (*World)(nil)

// User looks in the passwd file of the process's container.
func (w *World) User(p *event.Process, uid uint32) (*event.User, bool) { return w.users.user(p, uid) }

// Group looks in the group file of the process's container.
func (w *World) Group(p *event.Process, gid uint32) (string, bool) { return w.users.group(p, gid) }

// AccountsUnknown tells whether those files may be read.
func (w *World) AccountsUnknown(p *event.Process) event.Unknown { return w.users.unknownFor(p) }

// HasAddr looks at the interfaces.
func (w *World) HasAddr(a netip.Addr) bool { return w.local.has(a) }

// HostNames looks in /etc/hosts as the thread sees it.
func (w *World) HostNames(t *event.Thread, a netip.Addr) []string { return w.hosts.names(t, a) }

// Hostname is the machine's name, or what FALCO_HOSTNAME says.
func (w *World) Hostname() string { return Hostname() }

// Hostname is this machine's name. FALCO_HOSTNAME overrides it, as it does
// Falco's.
var Hostname = sync.OnceValue(func() string {
	if h := os.Getenv("FALCO_HOSTNAME"); h != "" {
		return h
	}
	h, _ := os.Hostname()
	return h
})

// Process reads what /proc says of a process: a session leader outside of the
// traced tree, or the target of a signal.
func (w *World) Process(pid int64, what event.ProcessText) (string, bool) {
	if pid <= 0 || runtime.GOOS != "linux" {
		return "", false
	}
	dir := "/proc/" + itoa(pid)
	switch what {
	case event.TextExePath:
		exe, err := os.Readlink(filepath.Join(dir, "exe"))
		return exe, err == nil
	case event.TextExe:
		b, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		exe, _, _ := strings.Cut(string(b), "\x00")
		return exe, err == nil
	}
	b, err := os.ReadFile(filepath.Join(dir, "comm"))
	return strings.TrimSuffix(string(b), "\n"), err == nil
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

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
func (h *hostsFile) names(t *event.Thread, a netip.Addr) []string {
	if t != nil {
		b, err := os.ReadFile("/proc/" + itoa(t.TID) + "/root/etc/hosts")
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

// Interfaces are the addresses of this machine's network interfaces.
func Interfaces() []netip.Prefix {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var out []netip.Prefix
	for _, i := range list {
		if p, err := netip.ParsePrefix(i.String()); err == nil {
			out = append(out, p)
		}
	}
	return out
}
