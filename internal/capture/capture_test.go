// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gotest.tools/v3/golden"

	"github.com/falcotest/go-falcotest/internal/event"
)

type testWorld struct{ event.World }

func (testWorld) User(_ *event.Process, uid uint32) (*event.User, bool) {
	return map[uint32]*event.User{0: {Name: "root", Home: "/root", Shell: "/bin/sh"}, 1000: {Name: "alice", Home: "/home/alice", Shell: "/bin/zsh"}}[uid], uid == 0 || uid == 1000
}

func (testWorld) AccountsUnknown(*event.Process) event.Unknown      { return event.Known }
func (testWorld) Group(_ *event.Process, gid uint32) (string, bool) { return "wheel", gid == 10 }

const testTime = 1795390912906942238

// scenario is what a shell's child does: it opens a file that the shell does not
// have, starts another process, becomes another user and connects to somebody.
func scenario() []*event.Event {
	shell := &event.Process{PID: 100, VPID: 100, PPID: 1, SID: 100, PGID: 100, VPGID: 100, Comm: "bash", Exe: "-bash", ExePath: "/usr/bin/bash", Cwd: "/root", LoginUID: 1000, TTY: 34816, FDs: map[int64]*event.FD{}}
	p := &event.Process{
		PID: 200, VPID: 200, Parent: shell, PPID: 100, SID: 100, PGID: 200, VPGID: 200, Comm: "cat", Exe: "cat", ExePath: "/usr/bin/cat",
		Args: []string{"/etc/shadow", "-n"}, Env: []string{"HOME=/root", "TOKEN=secret"}, Cwd: "/root", Root: "/", UID: 0, GID: 10, LoginUID: 1000,
		FDLimit: 1024, CapEffective: 1, CapPermitted: 1, Cgroups: []string{"cpuset=/", "memory=/user.slice"}, ExeIno: 7, ExeCtime: 8, ExeMtime: 9,
		FDs: map[int64]*event.FD{
			0: {Num: 0, Type: event.FDFile, Name: "/dev/pts/0", Flags: event.ORdonly | event.OWronly, Dev: 0x18},
			1: {Num: 1, Type: event.FDPipe, Name: "", Ino: 77},
			4: {Num: 4, Type: event.FDIPv4, Proto: event.ProtoTCP, Client: true, Sock: event.SockAddr{Family: 2, Src: netip.MustParseAddrPort("10.0.0.5:4000"), Dst: netip.MustParseAddrPort("192.0.2.1:443")}},
		},
	}
	t := &event.Thread{TID: 200, VTID: 200, Process: p}
	at := int64(testTime)
	make := func(typ event.Type, params ...event.Param) *event.Event {
		at += 1000
		return &event.Event{Time: at, Type: typ, Thread: t, World: testWorld{}, Params: params}
	}
	return []*event.Event{
		make(event.SysOpenat, event.Param{Num: 3}, event.Param{Num: -100}, event.Param{Str: "/etc/../etc/shadow"}, event.Param{Num: event.ORdonly}, event.Param{}, event.Param{Num: 0xFE00}, event.Param{Num: 42}),
		make(event.SysRead, event.Param{Num: 4}, event.Param{Str: "root"}, event.Param{Num: 3}, event.Param{Num: 100}),
		make(event.SysDup2, event.Param{Num: 9}, event.Param{Num: 3}, event.Param{Num: 9}),
		make(event.SysSetuid, event.Param{}, event.Param{Num: 1000}),
		make(event.SysChdir, event.Param{}, event.Param{Str: "sub/.."}),
		make(event.SysClose, event.Param{}, event.Param{Num: 3}),
		make(event.SysRead, event.Param{Num: -9}, event.Param{Null: true}, event.Param{Num: 3}, event.Param{Num: 100}),
		make(event.SysSocket, event.Param{Num: 5}, event.Param{Num: 2}, event.Param{Num: 1}, event.Param{Num: 6}),
		make(event.SysConnect, event.Param{}, event.Param{Sock: event.SockAddr{Family: 2, Src: netip.MustParseAddrPort("10.0.0.5:5000"), Dst: netip.MustParseAddrPort("192.0.2.9:80")}}, event.Param{Num: 5}, event.Param{Sock: event.SockAddr{Family: 2, Src: netip.MustParseAddrPort("192.0.2.9:80")}}),
		make(event.SysGetpid, event.Param{Num: 39}, event.Param{Num: 39}),
		make(event.EvtProcexit, event.Param{}, event.Param{}, event.Param{}, event.Param{}, event.Param{Num: 1}),
	}
}

func written(t testing.TB, list []*event.Event) []byte {
	t.Helper()
	var out bytes.Buffer
	w := NewWriter(&out, WriterOptions{Hostname: "here", CPUs: 2, Interfaces: []netip.Prefix{netip.MustParsePrefix("10.0.0.5/24"), netip.MustParsePrefix("fd00::5/64")}})
	for _, e := range list {
		if err := w.Event(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func unzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// playAll plays a recording to its end, and returns the error that ended it.
func playAll(r io.Reader, each func(*event.Event)) (uint64, error) {
	p, err := NewPlayer(r)
	if err != nil {
		return 0, err
	}
	for {
		e, err := p.Next()
		if errors.Is(err, io.EOF) {
			return p.Events(), nil
		}
		if err != nil {
			return p.Events(), err
		}
		if each != nil {
			each(e)
		}
	}
}

func TestWriteAndRead(t *testing.T) {
	var got []string
	_, err := playAll(bytes.NewReader(written(t, scenario())), func(e *event.Event) {
		line := e.Type.String() + " " + e.Args()
		if e.Thread != nil {
			p := e.Thread.Process
			user, _ := e.Machine().User(p, p.UID)
			line += " | " + p.Cmdline() + " <- " + p.Parent.Cmdline() + " cwd " + p.Cwd
			if user != nil {
				line += " user " + user.Name
			}
			if e.FD != nil {
				line += " fd " + e.FD.Name
			}
		}
		got = append(got, line)
	})
	if err != nil {
		t.Fatal(err)
	}
	const common = " | cat /etc/shadow -n <- bash cwd /root/ user "
	want := []string{
		"openat fd=3(<f>/etc/shadow) dirfd=-100(AT_FDCWD) name=/etc/../etc/shadow flags=1(O_RDONLY) mode=0 dev=FE00 ino=42" + common + "root fd /etc/shadow",
		"read res=4 data=root fd=3(<f>/etc/shadow) size=100" + common + "root fd /etc/shadow",
		"dup2 res=9(<f>/etc/shadow) oldfd=3(<f>/etc/shadow) newfd=9(<f>/etc/shadow)" + common + "root fd /etc/shadow",
		"setuid res=0 uid=1000(alice)" + common + "alice",
		"chdir res=0 path=sub/.." + common + "alice",
		"close res=0 fd=3(<f>/etc/shadow)" + common + "alice fd /etc/shadow",
		"read res=-9(EBADF) data=NULL fd=3 size=100" + common + "alice",
		"socket fd=5(<4>) domain=2(AF_INET) type=1 proto=6" + common + "alice fd ",
		"connect res=0 tuple=10.0.0.5:5000->192.0.2.9:80 fd=5(<4t>10.0.0.5:5000->192.0.2.9:80) addr=192.0.2.9:80" + common + "alice fd 10.0.0.5:5000->192.0.2.9:80",
		"",
		"procexit status=0 ret=0 sig=0 core=0 reaper_tid=1" + common + "alice",
	}
	want[9] = "getpid " + common + "alice"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestRedaction(t *testing.T) {
	raw := unzipped(t, written(t, scenario()))
	if bytes.Contains(raw, []byte("secret")) {
		t.Error("the value of TOKEN was recorded")
	}
	if !bytes.Contains(raw, []byte("TOKEN=\x00")) || !bytes.Contains(raw, []byte("HOME=/root\x00")) {
		t.Error("the names of variables, and the value of HOME, were not recorded")
	}
}

func TestTables(t *testing.T) {
	p, err := NewPlayer(bytes.NewReader(written(t, scenario())))
	if err != nil {
		t.Fatal(err)
	}
	e, err := p.Next()
	if err != nil {
		t.Fatal(err)
	}
	q := e.Thread.Process
	if q.LoginUID != 1000 || q.ExePath != "/usr/bin/cat" || q.FDLimit != 1024 || q.ExeIno != 7 || len(q.Cgroups) != 2 {
		t.Errorf("the process is %+v", q)
	}
	if f := q.FDs[4]; f == nil || f.Name != "10.0.0.5:4000->192.0.2.1:443" || !f.Client || f.Proto != event.ProtoTCP {
		t.Errorf("descriptor 4 is %+v", f)
	}
	if !e.World.HasAddr(netip.MustParseAddr("10.0.0.5")) || e.World.HasAddr(netip.MustParseAddr("10.0.0.6")) || !e.World.HasAddr(netip.MustParseAddr("fd00::9")) {
		t.Error("the addresses of the machine are not those that were recorded")
	}
	if h := p.s.info.hostname; h != "here" {
		t.Errorf("the machine is %q", h)
	}
}

// TestCutOff cuts a recording at each byte: a part of it is never taken for the
// whole, unless it is cut between two events.
func TestCutOff(t *testing.T) {
	raw := unzipped(t, written(t, scenario()))
	whole, err := playAll(bytes.NewReader(raw), nil)
	if err != nil {
		t.Fatal(err)
	}
	clean := 0
	for n := range raw {
		events, err := playAll(bytes.NewReader(raw[:n]), nil)
		var e *Error
		switch {
		case err == nil && events < whole:
			clean++ // nothing tells that more was to come
		case !errors.As(err, &e):
			t.Fatalf("cut off after %d bytes: %v", n, err)
		case e.Offset > int64(n):
			t.Errorf("cut off after %d bytes: the error is at %d", n, e.Offset)
		}
	}
	if clean > int(whole) {
		t.Errorf("%d ways to cut the recording were not noticed", clean)
	}
}

func TestCutOffCompressed(t *testing.T) {
	data := written(t, scenario())
	for n := range data[:len(data)-1] {
		if _, err := playAll(bytes.NewReader(data[:n]), nil); err == nil {
			t.Fatalf("%d of %d bytes of the compressed recording were taken for the whole", n, len(data))
		}
	}
}

func TestBadInput(t *testing.T) {
	raw := unzipped(t, written(t, scenario()))
	change := func(at int, b ...byte) []byte {
		c := bytes.Clone(raw)
		copy(c[at:], b)
		return c
	}
	bomb := func() []byte {
		var out bytes.Buffer
		z := gzip.NewWriter(&out)
		_, _ = z.Write(raw)
		zeros := make([]byte, 1<<20)
		block := le.AppendUint32(le.AppendUint32(nil, 0x7777), 200<<20)
		_, _ = z.Write(block)
		for range 300 {
			_, _ = z.Write(zeros)
		}
		_ = z.Close()
		return out.Bytes()
	}
	var text strings.Builder
	for _, test := range []struct {
		name string
		data []byte
		want error
	}{
		{"empty", nil, ErrEmpty},
		{"text", []byte("this is no recording"), ErrNotCapture},
		{"zeros", make([]byte, 1<<16), ErrNotCapture},
		{"big endian", change(8, 0x1A, 0x2B, 0x3C, 0x4D), ErrByteOrder},
		{"newer version", change(12, 2, 0), ErrVersion},
		{"header only", raw[:28], ErrEmpty},
		{"cut off", raw[:len(raw)-5], nil},
		{"cut off while packed", written(t, scenario())[:200], nil},
		{"bit flipped in a length", change(32, raw[32]^0x80), nil},
		{"bomb", bomb(), ErrBomb},
		{"trailer", change(24, 0xff), nil},
		{"short block", change(32, 4, 0, 0, 0), nil},
		{"ten gigabytes of holes", nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			var r io.Reader = bytes.NewReader(test.data)
			if test.name == "ten gigabytes of holes" {
				r = io.MultiReader(bytes.NewReader(raw), &holes{10 << 30})
			}
			_, err := playAll(r, nil)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("error %v, want one with an offset", err)
			}
			if test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
			fmt.Fprintf(&text, "%s: %v\n", test.name, err)
		})
	}
	golden.Assert(t, text.String(), "bad_input.golden")
}

// TestUnknownBlocks: what a later version adds is passed over.
func TestUnknownBlocks(t *testing.T) {
	raw := unzipped(t, written(t, scenario()))
	extra := le.AppendUint32(le.AppendUint32(nil, 0x299), 16)
	extra = append(extra, 1, 2, 3, 4)
	extra = le.AppendUint32(extra, 16)
	withBlock := append(append(bytes.Clone(raw[:28]), extra...), raw[28:]...)
	withBlock = append(withBlock, extra...)
	want, _ := playAll(bytes.NewReader(raw), nil)
	got, err := playAll(bytes.NewReader(withBlock), nil)
	if err != nil || got != want {
		t.Errorf("%d events and %v, want %d", got, err, want)
	}
}

// holes are what a sparse file gives to its reader.
type holes struct{ left int64 }

func (h *holes) Read(b []byte) (int, error) {
	n := int(min(int64(len(b)), h.left))
	if n == 0 {
		return 0, io.EOF
	}
	clear(b[:n])
	h.left -= int64(n)
	return n, nil
}

func FuzzPlayer(f *testing.F) {
	data := written(f, scenario())
	raw := unzipped(f, data)
	f.Add(data)
	f.Add(raw)
	f.Add(raw[:100])
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := playAll(bytes.NewReader(data), func(e *event.Event) {
			_ = e.Args()
			if e.Thread != nil {
				p := e.Thread.Process
				for range maxAncestors + 1 {
					if p == nil {
						break
					}
					_ = p.Cmdline()
					p = p.Parent
				}
				if p != nil {
					t.Fatal("a process has too many ancestors, or is its own")
				}
			}
		})
		var e *Error
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("an error without an offset: %v", err)
		}
	})
}
