// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/falcotest/go-falcotest/internal/event"
)

// Accounts and containers that a recording begins with are counted, and given to
// no rule; later ones are.
func TestOpening(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out, WriterOptions{})
	list := scenario()
	w.learn(list[0])
	w.tables()
	w.began = true
	alice := &event.User{Name: "alice", Home: "/home/alice", Shell: "/bin/sh"}
	w.userAdded(testTime, 7, 7, alice, "")
	if err := w.Event(list[0]); err != nil {
		t.Fatal(err)
	}
	w.userAdded(testTime+5, 8, 8, alice, "")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var got []string
	_, err := playAll(bytes.NewReader(out.Bytes()), func(e *event.Event) {
		got = append(got, e.Type.String())
		if e.Type == event.SysOpenat && (e.Num < 2 || e.Start != list[0].Time) {
			t.Errorf("the first event has number %d, and the recording began at %d", e.Num, e.Start)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"openat", "useradded"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A descriptor stands where the hash table of Falco's libraries has it: the last
// comes first, what shares a bucket lies together, and growing turns the order round.
func TestOrderOfDescriptors(t *testing.T) {
	numbers := func(th *thread) (list []int64) {
		for n := range th.fds {
			list = append(list, n)
		}
		slices.SortFunc(list, func(a, b int64) int { return int(th.fds[a].Order - th.fds[b].Order) })
		return list
	}
	th := newThread(1, &pool{})
	for n := range int64(4) {
		th.insert(n, &event.FD{})
	}
	th.insert(1, &event.FD{Name: "again"})
	th.insert(15, &event.FD{})
	if want := []int64{3, 15, 2, 1, 0}; !slices.Equal(numbers(th), want) {
		t.Errorf("got %d, want %d", numbers(th), want)
	}
	for n := int64(4); n < 13; n++ {
		th.insert(n, &event.FD{})
	}
	if want := []int64{12, 0, 1, 2, 15, 3, 4, 5, 6, 7, 8, 9, 10, 11}; !slices.Equal(numbers(th), want) {
		t.Errorf("after growing: got %d, want %d", numbers(th), want)
	}
	sparse := newThread(3, &pool{}) // 1 and 30 come to share a bucket
	for _, n := range []int64{0, 30, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12} {
		sparse.insert(n, &event.FD{})
	}
	if want := []int64{12, 0, 4, 30, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11}; !slices.Equal(numbers(sparse), want) {
		t.Errorf("after growing with numbers apart: got %d, want %d", numbers(sparse), want)
	}
	child := newThread(2, &pool{})
	newState().inheritProcess(child, th)
	if want := []int64{11, 12, 0, 1, 2, 15, 3, 4, 5, 6, 7, 8, 9, 10}; !slices.Equal(numbers(child), want) {
		t.Errorf("the child: got %d, want %d", numbers(child), want)
	}
}

// What Falco keeps of a socket lies at another place when the socket turns out to
// be of another type, so that its protocol is lost.
func TestSocketsOfOtherTypes(t *testing.T) {
	four := func(src, dst string) *event.SockAddr {
		return &event.SockAddr{Family: familyINET, Src: netip.MustParseAddrPort(src), Dst: netip.MustParseAddrPort(dst)}
	}
	six := func(src, dst string) *event.SockAddr {
		return &event.SockAddr{Family: familyINET6, Src: netip.MustParseAddrPort(src), Dst: netip.MustParseAddrPort(dst)}
	}
	for _, test := range []struct {
		name               string
		domain, typ, proto uint32
		ends               *event.SockAddr
		want               string
	}{
		{"TCP", familyINET, sockStream, 0, four("10.0.0.1:5", "10.0.0.2:80"), "10.0.0.1:5->10.0.0.2:80"},
		{"TCP 6", familyINET6, sockStream, 0, six("[fd00::1]:5", "[fd00::2]:80"), "fd00::1:5->fd00::2:80"},
		{"TCP 6 to IPv4", familyINET6, sockStream, 0, six("[::ffff:10.0.0.1]:5", "[::ffff:10.0.0.2]:80"), "<unknown>"},
		{"ping", familyINET, sockDgram, protoICMP, four("10.0.0.1:0", "10.0.0.2:0"), "10.0.0.1->10.0.0.2"},
		{"raw", familyINET, sockRaw, protoICMP, four("10.0.0.1:0", "10.0.0.2:0"), "10.0.0.1->10.0.0.2"},
		{"raw 6", familyINET6, sockRaw, protoRaw, six("[fd00::1]:0", "[fd00::2]:0"), "<unknown>"},
		{"SCTP", familyINET, sockStream, 132, four("10.0.0.1:5", "10.0.0.2:80"), "<unknown>"},
	} {
		f := newSocket(test.domain, test.typ, test.proto)
		if !newState().setTuple(f, test.ends) {
			t.Errorf("%s: the ends did not change", test.name)
		}
		if got := socketName(f); got != test.want {
			t.Errorf("%s: the name is %q, want %q", test.name, got, test.want)
		}
		if back := *test.ends; newState().setTuple(f, &event.SockAddr{Family: back.Family, Src: back.Dst, Dst: back.Src}) {
			t.Errorf("%s: the ends the other way round are a change", test.name)
		}
	}
}

// A socket of IPv6 that something reached without an address is one of IPv4 to Falco,
// and has its protocol again when it is one of IPv6.
func TestDatagramsWithoutAddress(t *testing.T) {
	six := func(src, dst string) *event.SockAddr {
		return &event.SockAddr{Family: familyINET6, Src: netip.MustParseAddrPort(src), Dst: netip.MustParseAddrPort(dst)}
	}
	f := newSocket(familyINET6, sockDgram, 0)
	f.Client, f.NoRole = true, false
	s := newState()
	s.updateSocket(f, six("[::]:5", "[fd00::2]:53"))
	s.updateSocket(f, six("[::]:0", "[::]:5"))
	if got := socketName(f); got != "0.0.0.0:0->0.0.0.0:5" || f.Type != event.FDIPv4 {
		t.Errorf("without an address, the name is %q", got)
	}
	s.setTuple(f, six("[fd00::1]:5", "[fd00::2]:53"))
	if got := socketName(f); got != "fd00::1:5->fd00::2:53" || f.Proto != event.ProtoUDP {
		t.Errorf("with one, the name is %q and the protocol %d", got, f.Proto)
	}
}

// Who serves Falco tells, of sockets of IPv6, by a part of the address.
func TestRoleByAddress(t *testing.T) {
	th := newThread(1, &pool{})
	th.setIDs(1, 1, 0)
	th.insert(3, newSocket(familyINET, sockStream, 0)) // whose ports are 0, as those bytes
	f := newSocket(familyINET6, sockRaw, 58)
	f.Sock.Src, f.Sock.Dst = netip.MustParseAddrPort("[::1]:58"), netip.MustParseAddrPort("[::1]:9")
	guessRole(th, f, true)
	if !f.Server || f.Client {
		t.Errorf("server %v, client %v", f.Server, f.Client)
	}
}

// A thread shows what the main one has, and what it has of its own once it is known to
// be the main one.
func TestThreadsWithoutTheMainOne(t *testing.T) {
	s := newState()
	type shown struct {
		Cwd             string
		FDLimit         int64
		FDs, MainFDs    int
		Parent, Creator bool
	}
	see := func(th *thread) shown {
		s.view(th)
		p := &th.proc
		return shown{p.Cwd, p.FDLimit, len(p.FDs), p.MainFDs, p.Parent != nil, p.Creator != nil}
	}
	check := func(what string, th *thread, want shown) {
		t.Helper()
		if diff := cmp.Diff(want, see(th)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	maker := s.get(5)
	maker.setIDs(5, 5, 0)
	s.relate(maker)
	th := s.get(11)
	th.setFDLimit(30)
	th.insert(3, &event.FD{})
	check("nothing is known", th, shown{Cwd: "./", FDs: 1})
	th.setIDs(11, 10, 5)
	s.relate(th)
	check("the main thread is not known", th, shown{Cwd: "./", FDs: 1, Creator: true})
	m := s.get(10)
	m.setIDs(10, 10, 0)
	m.setFDLimit(20)
	m.setCwd("/home/")
	s.relate(m)
	check("its maker is known, its process's is not", th, shown{Cwd: "/home/", FDLimit: 20, FDs: 1, Creator: true})
	th.setIDs(11, 11, 5)
	s.generation++
	check("it is the main thread", th, shown{FDLimit: 30, FDs: 1, MainFDs: 1, Parent: true, Creator: true})
}

// A server of datagrams over IPv6 stays one when something arrives.
func TestDatagramServer(t *testing.T) {
	f := newSocket(familyINET6, sockDgram, 0)
	f.Type, f.Server, f.NoRole = event.FDIPv6Server, true, false
	newState().updateSocket(f, &event.SockAddr{Family: familyINET6, Src: netip.MustParseAddrPort("[fd00::1]:9"), Dst: netip.MustParseAddrPort("[::1]:53")})
	if diff := cmp.Diff(netip.MustParseAddrPort("[fd00::1]:0").String(), f.Sock.Src.String()); diff != "" || f.Type != event.FDIPv6Server {
		t.Errorf("type %v, end %s", f.Type, diff)
	}
}

// Following a recording makes no garbage for events like those before: a thousand more
// opens and closes need nothing but the chunks that they are read into.
func TestNoGarbage(t *testing.T) {
	first := scenario()
	opens := func(n int) []byte {
		list := first[:1:1]
		for range n {
			list = append(list, first[0], first[5])
		}
		return unzipped(t, written(t, list))
	}
	few, many := opens(100), opens(1100)
	played := func(data []byte) float64 {
		return testing.AllocsPerRun(5, func() {
			if _, err := playAll(bytes.NewReader(data), nil); err != nil {
				t.Error(err)
			}
		})
	}
	if more := played(many) - played(few); more > 20 {
		t.Errorf("2000 events more made %.0f more allocations", more)
	}
}
