// SPDX-License-Identifier: Apache-2.0

package event

import (
	"net/netip"
	"testing"
)

type testWorld struct{ unknownWorld }

func (testWorld) User(_ *Process, uid uint32) (*User, bool) { return &User{Name: "root"}, uid == 0 }
func (testWorld) Group(_ *Process, gid uint32) (string, bool) {
	return "wheel", gid == 10
}

// TestArgs compares with lines that Falco 0.43.1 printed for evt.args.
func TestArgs(t *testing.T) {
	p := &Process{PID: 422, Comm: "bash", Cwd: "/tmp/hc/f", FDs: map[int64]*FD{
		1:  {Num: 1, Type: FDPipe},
		3:  {Num: 3, Type: FDFile, Name: "/etc/ld.so.cache"},
		4:  {Num: 4, Type: FDDirectory, Name: "/tmp/hc/f/dd"},
		5:  {Num: 5, Type: FDIPv4, Proto: ProtoTCP, Name: "127.0.0.1:4000->127.0.0.1:80", Sock: SockAddr{Family: 2, Src: netip.MustParseAddrPort("127.0.0.1:4000"), Dst: netip.MustParseAddrPort("127.0.0.1:80")}},
		6:  {Num: 6, Type: FDUnix, Name: "/run/\x01sock"},
		10: {Num: 10, Type: FDIPv4, Proto: ProtoTCP},
	}}
	loopback := netip.MustParseAddr("127.0.0.1")
	six := netip.MustParseAddr("::1")
	tests := []struct {
		typ    Type
		params []Param
		want   string
	}{
		{SysOpenat, []Param{{Num: 3}, {Num: -100}, {Str: "/etc/ld.so.cache"}, {Num: 4097}, {}, {Num: 0xFE00}, {Num: 409818}},
			"fd=3(<f>/etc/ld.so.cache) dirfd=-100(AT_FDCWD) name=/etc/ld.so.cache flags=4097(O_RDONLY|O_CLOEXEC) mode=0 dev=FE00 ino=409818"},
		{SysOpenat, []Param{{Num: -2}, {Num: -100}, {Str: "./x"}, {Num: 3}, {Num: 0o644}, {}, {}},
			"fd=-2(ENOENT) dirfd=-100(AT_FDCWD) name=./x(/tmp/hc/f/x) flags=3(O_RDWR) mode=0644 dev=0 ino=0"},
		{SysNewfstatat, []Param{{}, {Num: 3}, {}, {Num: 4096}},
			"res=0 dirfd=3(<f>/etc/ld.so.cache) path= flags=4096(AT_EMPTY_PATH)"},
		{SysUnlinkat, []Param{{}, {Num: 4}, {Str: "m"}, {}}, "res=0 dirfd=4(<d>/tmp/hc/f/dd) name=m(/tmp/hc/f/dd/m) flags=0"},
		{SysRenameat2, []Param{{}, {Num: -100}, {Str: "dd/l"}, {Num: -100}, {Str: "dd/m"}, {Num: 1}},
			"res=0 olddirfd=-100(AT_FDCWD) oldpath=dd/l(/tmp/hc/f/dd/l) newdirfd=-100(AT_FDCWD) newpath=dd/m(/tmp/hc/f/dd/m) flags=1(RENAME_NOREPLACE)"},
		{SysSymlinkat, []Param{{}, {Str: "r.yaml"}, {Num: -100}, {Str: "dd/l"}},
			"res=0 target=r.yaml linkdirfd=-100(AT_FDCWD) linkpath=dd/l(/tmp/hc/f/dd/l)"},
		{SysFchmodat, []Param{{}, {Num: -100}, {Str: "dd"}, {Num: 0o4755}},
			"res=0 dirfd=-100(AT_FDCWD) filename=dd(/tmp/hc/f/dd) mode=04755(S_IXOTH|S_IROTH|S_IXGRP|S_IRGRP|S_IXUSR|S_IWUSR|S_IRUSR|S_ISUID)"},
		{SysPipe2, []Param{{}, {Num: 1}, {Num: 1}, {Num: 135881}, {}}, "res=0 fd1=1(<p>) fd2=1(<p>) ino=135881 flags=0(O_NONE)"},
		{SysMmap, []Param{{Num: 140200370130944}, {Num: 1664}, {Num: 260}, {}, {Num: 0x7f00}, {Num: 8192}, {Num: 3}, {Num: 10}, {Num: -1}, {}},
			"res=140200370130944 vm_size=1664 vm_rss=260 vm_swap=0 addr=7F00 length=8192 prot=3(PROT_READ|PROT_WRITE) flags=10(MAP_PRIVATE|MAP_ANONYMOUS) fd=-1(EPERM) offset=0"},
		{SysFutex, []Param{{}, {Num: 0x7F82F13D9A4C}, {Num: 129}, {Num: 2147483647}},
			"res=0 addr=7F82F13D9A4C op=129(FUTEX_PRIVATE_FLAG|FUTEX_WAKE) val=2147483647"},
		{SysWrite, []Param{{Num: 3}, {Str: "hi\n"}, {Num: 1}, {Num: 3}}, "res=3 data=hi. fd=1(<p>) size=3"},
		{SysRead, []Param{{Num: -11}, {Null: true}, {Num: 99}, {Num: 3}}, "res=-11(EAGAIN) data=NULL fd=99 size=3"},
		{SysSocket, []Param{{Num: 10}, {Num: 2}, {Num: 1}, {Num: 6}}, "fd=10(<4>) domain=2(AF_INET) type=1 proto=6"},
		{SysSocket, []Param{{Num: -97}, {Num: 1}, {Num: 1}, {}}, "fd=-97(EAFNOSUPPORT) domain=1(AF_LOCAL|AF_UNIX) type=1 proto=0"},
		{SysConnect, []Param{{Num: -111}, {Null: true}, {Num: 10}, {Sock: SockAddr{Family: 2, Src: netip.AddrPortFrom(loopback, 1)}}},
			"res=-111(ECONNREFUSED) tuple=NULL fd=10(<4>) addr=127.0.0.1:1"},
		{SysConnect, []Param{{}, {Sock: SockAddr{Family: 10, Src: netip.AddrPortFrom(six, 1), Dst: netip.AddrPortFrom(six, 2)}}, {Num: 5}, {Sock: SockAddr{Family: 1, Path: "/run/a"}}},
			"res=0 tuple=::1:1->::1:2 fd=5(<4t>127.0.0.1:4000->127.0.0.1:80) addr=/run/a"},
		{SysKill, []Param{{}, {Num: 422}, {Num: 9}}, "res=0 pid=422(bash) sig=9(SIGKILL)"},
		{SysKill, []Param{{}, {Num: 7}, {}}, "res=0 pid=7 sig=0"},
		{SysSetuid, []Param{{}, {Num: 0}}, "res=0 uid=0(root)"},
		{SysSetgid, []Param{{}, {Num: 11}}, "res=0 gid=11(<NA>)"},
		{SysSetresuid, []Param{{}, {Num: 1<<32 - 1}, {}, {Num: 1<<32 - 1}}, "res=0 ruid=-1(<NONE>) euid=0(root) suid=-1(<NONE>)"},
		{SysPoll, []Param{{Num: 1}, {List: []FDPoll{{1, 1}, {6, 4}, {77, 0}}}, {Num: -1}}, "res=1 fds=1:p1 6:u4 77:?0 timeout=-1"},
		{SysNanosleep, []Param{{}, {Num: 10000000}}, "res=0 interval=10000000(0.01s)"},
		{SysPtrace, []Param{{}, {Dyn: PtraceUint64, Num: 0xff}, {Dyn: PtraceSignal, Num: 9}, {Num: 8}, {Num: 422}},
			"res=0 addr=FF data=9(SIGKILL) request=8(PTRACE_CONT) pid=422(bash)"},
		{SysGetpid, []Param{{Num: 39}, {Num: 39}}, ""},
		{EvtProcexit, []Param{{}, {}, {}, {}, {}}, "status=0 ret=0 sig=0 core=0 reaper_tid=0"},
		{SysClose, []Param{{}, {Num: 6}}, "res=0 fd=6(<u>/run/sock)"},
	}
	for _, tt := range tests {
		e := &Event{Type: tt.typ, World: testWorld{}, Params: tt.params, Thread: &Thread{TID: 422, Process: p}}
		if got := e.Args(); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.typ, got, tt.want)
		}
	}
}

func TestVectorParam(t *testing.T) {
	e := &Event{Type: SysExecve, Params: []Param{{}, {Str: "cat"}, {Strs: []string{"./r.yaml"}}}}
	if got := e.ParamValue(2); got != "./r.yaml." {
		t.Errorf("args = %q, Falco prints %q", got, "./r.yaml.")
	}
	e.Params[2].Strs = nil
	if got := e.ParamValue(2); got != "NULL" {
		t.Errorf("no args = %q, Falco prints NULL", got)
	}
}

func TestJoinPath(t *testing.T) {
	tests := []struct{ dir, path, want string }{
		{"/a", "b", "/a/b"},
		{"/a/", "./b/../c", "/a/c"},
		{"/a/b", "../../../x", "/x"},
		{"/a", "/etc//shadow/", "/etc/shadow"},
		{"", "/etc/../etc/../etc/shadow", "/etc/shadow"},
		{"", "rel", "rel"},
		{"/", "x", "/x"},
		{"/a", "", ""},
		{"/a", "..", "/"},
		{"/a", "...", "/a/..."},
		{"/a", "b\nc", "/a/b.c"},
		{"", "/", "/"},
	}
	for _, tt := range tests {
		if got := JoinPath(tt.dir, tt.path); got != tt.want {
			t.Errorf("JoinPath(%q, %q) = %q, want %q", tt.dir, tt.path, got, tt.want)
		}
	}
}

func TestNumbersMatchTypes(t *testing.T) {
	for nr, name := range map[int]string{0: "read", 59: "execve", 257: "openat", 62: "kill", 39: "getpid", 437: "openat2"} {
		if got := FromAMD64(nr).String(); got != name {
			t.Errorf("amd64 %d is %q, want %q", nr, got, name)
		}
	}
	for nr, name := range map[int]string{63: "read", 221: "execve", 56: "openat", 129: "kill", 172: "getpid"} {
		if got := FromARM64(nr).String(); got != name {
			t.Errorf("arm64 %d is %q, want %q", nr, got, name)
		}
	}
	if FromAMD64(-1) != None || FromAMD64(1<<20) != None {
		t.Error("numbers that are none have a type")
	}
	if got := SysOpenat.Numbers("amd64"); len(got) != 1 || got[0] != 257 {
		t.Errorf("openat is %v, want 257", got)
	}
}

func TestCloneIsDeep(t *testing.T) {
	parent := &Process{PID: 1, Args: []string{"a"}}
	fd := &FD{Num: 3, Name: "x"}
	p := &Process{PID: 2, Parent: parent, Env: []string{"E=1"}, FDs: map[int64]*FD{3: fd}, Container: &Container{ID: "c", Labels: map[string]string{"k": "v"}}}
	e := &Event{Thread: &Thread{Process: p}, FD: fd, Params: []Param{{Strs: []string{"s"}}}}
	c := e.Clone()
	parent.Args[0], p.Env[0], fd.Name, e.Params[0].Strs[0], p.Container.Labels["k"] = "!", "!", "!", "!", "!"
	q := c.Thread.Process
	if q.Parent.Args[0] != "a" || q.Env[0] != "E=1" || c.FD.Name != "x" || c.Params[0].Strs[0] != "s" || q.Container.Labels["k"] != "v" {
		t.Error("the copy changed with the original")
	}
	if q.FDs[3] != c.FD {
		t.Error("the descriptor was copied twice")
	}
}
