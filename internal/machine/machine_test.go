// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"net/netip"
	"os"
	"runtime"
	"testing"

	"github.com/falcotest/go-falcotest/internal/event"
)

func TestWorld(t *testing.T) {
	w := New()
	if !w.HasAddr(netip.MustParseAddr("127.0.0.1")) || !w.HasAddr(netip.IPv6Loopback()) {
		t.Error("the loopback addresses are not the machine's")
	}
	if w.HasAddr(netip.MustParseAddr("192.0.2.1")) {
		t.Error("192.0.2.1, which is for documentation, is the machine's")
	}
	if runtime.GOOS != "linux" {
		return
	}
	self := int64(os.Getpid())
	if exe, ok := w.Process(self, event.TextExe); !ok || exe != os.Args[0] {
		t.Errorf("argv[0] of the process itself: %q, %v", exe, ok)
	}
	if u, ok := w.User(&event.Process{PID: self}, 0); !ok || u.Name != "root" {
		t.Errorf("user 0: %+v, %v", u, ok)
	}
	if _, ok := w.Process(1<<30, event.TextComm); ok {
		t.Error("a process that does not exist has a name")
	}
}

func TestParseHosts(t *testing.T) {
	m := parseHosts("127.0.0.1 localhost # here\nnonsense\n::1 ip6 loop\n")
	if got := m[netip.IPv6Loopback()]; len(got) != 2 || got[0] != "ip6" {
		t.Errorf("names of ::1: %q", got)
	}
}
