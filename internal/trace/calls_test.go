// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package trace_test

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/trace"
)

// callTest is some calls, whose events are compared with those in a file of
// testdata/calls, rendered as Falco renders them: the event with its
// parameters, and the descriptor that it speaks of. What differs from run to
// run is replaced: see neutral.
type callTest struct {
	name  string
	types string // the events to look at
	calls func(dir string)
}

func init() {
	tracees["calls"] = func(args []string) {
		runtime.LockOSThread() // what other threads do is Go's runtime
		// The calls get descriptors from 12 on, whatever the runtime has open
		// and whatever this process inherited.
		null := mustOpen("/dev/null", unix.O_RDONLY)
		unix.CloseRange(12, math.MaxUint32, 0)
		for fd := 0; fd < 12; fd++ {
			if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
				unix.Dup3(null, fd, 0)
			}
		}
		unix.Chdir(args[1])
		i, _ := strconv.Atoi(args[0])
		callTests[i].calls(args[1])
	}
}

// raw makes a call that x/sys/unix has no function for, or would not make as
// it is told.
func raw(nr int, args ...uintptr) int {
	var a [6]uintptr
	copy(a[:], args)
	r, _, errno := unix.Syscall6(uintptr(nr), a[0], a[1], a[2], a[3], a[4], a[5])
	if errno != 0 {
		return -int(errno)
	}
	return int(r)
}

func cstr(s string) uintptr {
	p, _ := unix.BytePtrFromString(s)
	kept = append(kept, p)
	return uintptr(unsafe.Pointer(p))
}

func cbuf(b []byte) uintptr {
	kept = append(kept, &b[0])
	return uintptr(unsafe.Pointer(&b[0]))
}

// readOnly returns the address of a time that cannot be written to: ppoll would
// replace it by what is left of it, and with it what the event says.
func readOnly(ts unix.Timespec) uintptr {
	const name = "time"
	fd := mustOpen(name, unix.O_CREAT|unix.O_RDWR)
	unix.Write(fd, unsafe.Slice((*byte)(unsafe.Pointer(&ts)), unsafe.Sizeof(ts)))
	page, err := unix.Mmap(fd, 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		fmt.Fprintln(os.Stderr, name, err)
		os.Exit(1)
	}
	return cbuf(page)
}

// kept keeps what addresses were taken of from being collected.
var kept []*byte

func mustOpen(name string, flags int) int {
	fd, err := unix.Open(name, flags, 0o644)
	if err != nil {
		fmt.Fprintln(os.Stderr, name, err)
		os.Exit(1)
	}
	return fd
}

var callTests = []callTest{
	{
		name: "open", types: "openat openat2 close",
		calls: func(dir string) {
			os.Mkdir("sub", 0o755)
			fd := mustOpen("new", unix.O_CREAT|unix.O_RDWR|unix.O_EXCL)
			unix.Close(fd)
			unix.Openat(unix.AT_FDCWD, "new", unix.O_CREAT|unix.O_WRONLY|unix.O_TRUNC|unix.O_APPEND, 0o600)
			d := mustOpen("sub", unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC)
			unix.Openat(d, "../new", unix.O_RDONLY, 0)
			unix.Openat(d, "none", unix.O_RDONLY|unix.O_NOFOLLOW, 0)
			unix.Openat(unix.AT_FDCWD, "/etc/../etc//./hostname", unix.O_RDONLY|unix.O_NONBLOCK, 0)
			unix.Openat2(d, "made", &unix.OpenHow{Flags: unix.O_CREAT | unix.O_WRONLY, Mode: 0o4755, Resolve: unix.RESOLVE_BENEATH})
			unix.Close(999)
		},
	},
	{
		name: "names", types: "mkdirat unlinkat renameat renameat2 linkat symlinkat fchmodat fchmod fchownat fchown mknodat newfstatat fstat chroot",
		calls: func(dir string) {
			unix.Mkdirat(unix.AT_FDCWD, "d", 0o750)
			fd := mustOpen("f", unix.O_CREAT|unix.O_RDWR)
			unix.Linkat(unix.AT_FDCWD, "f", unix.AT_FDCWD, "d/hard", unix.AT_SYMLINK_FOLLOW)
			unix.Symlinkat("/etc/shadow", unix.AT_FDCWD, "d/soft")
			unix.Renameat(unix.AT_FDCWD, "d/hard", unix.AT_FDCWD, "g")
			unix.Renameat2(unix.AT_FDCWD, "g", unix.AT_FDCWD, "f", unix.RENAME_NOREPLACE)
			unix.Fchmodat(unix.AT_FDCWD, "f", 0o4755, 0)
			unix.Fchmod(fd, 0o600)
			unix.Fchownat(unix.AT_FDCWD, "f", -1, -1, unix.AT_SYMLINK_NOFOLLOW)
			unix.Fchown(fd, -1, -1)
			unix.Mknodat(unix.AT_FDCWD, "fifo", unix.S_IFIFO|0o600, 0)
			var st unix.Stat_t
			unix.Fstatat(unix.AT_FDCWD, "fifo", &st, unix.AT_SYMLINK_NOFOLLOW)
			unix.Fstat(fd, &st)
			unix.Unlinkat(unix.AT_FDCWD, "d/soft", 0)
			unix.Unlinkat(unix.AT_FDCWD, "d", unix.AT_REMOVEDIR)
			unix.Unlinkat(unix.AT_FDCWD, dir+"/nothing", 0)
			unix.Chroot("/does/not/exist")
		},
	},
	{
		name: "directories", types: "openat chdir fchdir getcwd",
		calls: func(dir string) {
			os.MkdirAll("a/b", 0o755)
			os.Symlink("a/b", "link")
			unix.Chdir("link")
			unix.Openat(unix.AT_FDCWD, "none", 0, 0)
			unix.Chdir("/tmp/../tmp")
			unix.Openat(unix.AT_FDCWD, "./none", 0, 0)
			unix.Chdir(dir + "/nowhere")
			fd := mustOpen(dir+"/a", unix.O_DIRECTORY)
			unix.Fchdir(fd)
			unix.Openat(unix.AT_FDCWD, "../none", 0, 0)
			buf := make([]byte, 4096)
			unix.Getcwd(buf)
		},
	},
	{
		name: "data", types: "read write pread pwrite readv writev preadv pwritev lseek sendfile splice copy_file_range",
		calls: func(dir string) {
			fd := mustOpen("f", unix.O_CREAT|unix.O_RDWR)
			out := mustOpen("g", unix.O_CREAT|unix.O_RDWR)
			unix.Write(fd, []byte("hello, world\n"))
			unix.Pwrite(fd, []byte(strings.Repeat("0123456789", 20)), 13)
			buf := make([]byte, 100)
			unix.Seek(fd, 0, unix.SEEK_SET)
			unix.Read(fd, buf[:5])
			unix.Pread(fd, buf[:7], 7)
			unix.Writev(fd, [][]byte{[]byte("one"), []byte("two")})
			unix.Pwritev(fd, [][]byte{[]byte("three"), []byte("four")}, 1)
			unix.Preadv(fd, [][]byte{buf[:3], buf[3:5]}, 1)
			unix.Seek(fd, 0, unix.SEEK_SET)
			unix.Readv(fd, [][]byte{buf[:3], buf[3:5]})
			unix.Read(999, buf)
			unix.Write(999, []byte("lost"))
			offset := int64(3)
			unix.Sendfile(out, fd, &offset, 10)
			unix.CopyFileRange(fd, nil, out, nil, 4, 0)
			unix.Splice(fd, nil, out, nil, 4, unix.SPLICE_F_MOVE|unix.SPLICE_F_MORE)
		},
	},
	{
		name: "descriptors", types: "dup dup2 dup3 fcntl pipe pipe2 eventfd2 epoll_create1 timerfd_create inotify_init1 signalfd4 memfd_create pidfd_open flock ioctl getdents64 close_range",
		calls: func(dir string) {
			fd := mustOpen("f", unix.O_CREAT|unix.O_RDWR)
			unix.Dup(fd)
			unix.Dup3(fd, 40, unix.O_CLOEXEC)
			unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 30)
			unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
			var p [2]int
			unix.Pipe2(p[:], unix.O_NONBLOCK|unix.O_CLOEXEC)
			unix.Eventfd(7, unix.EFD_CLOEXEC)
			unix.EpollCreate1(unix.EPOLL_CLOEXEC)
			unix.TimerfdCreate(unix.CLOCK_MONOTONIC, 0)
			unix.InotifyInit1(unix.IN_NONBLOCK)
			unix.Signalfd(-1, &unix.Sigset_t{}, unix.SFD_CLOEXEC)
			unix.MemfdCreate("program", unix.MFD_CLOEXEC)
			unix.PidfdOpen(999999999, 0)
			unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
			unix.IoctlGetInt(fd, unix.TIOCINQ)
			d := mustOpen(".", unix.O_RDONLY)
			unix.ReadDirent(d, make([]byte, 1000))
			unix.CloseRange(1000, 1001, 0)
			unix.Dup3(fd, fd, 0)
		},
	},
	{
		name: "sockets", types: "socket bind listen connect accept accept4 sendto recvfrom sendmsg recvmsg shutdown setsockopt getsockopt socketpair getsockname",
		calls: func(string) {
			server, _ := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			unix.SetsockoptInt(server, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
			unix.Bind(server, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
			unix.Listen(server, 5)
			address, _ := unix.Getsockname(server)
			client, _ := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_TCP)
			unix.Connect(client, address)
			conn, _, _ := unix.Accept4(server, unix.SOCK_CLOEXEC)
			unix.Sendto(client, []byte("ping"), 0, nil)
			buf := make([]byte, 100)
			unix.Recvfrom(conn, buf, 0)
			unix.SendmsgN(conn, []byte("pong"), nil, nil, 0)
			unix.Recvmsg(client, buf, nil, 0)
			unix.Shutdown(conn, unix.SHUT_WR)
			unix.GetsockoptInt(client, unix.SOL_SOCKET, unix.SO_ERROR)
			unix.Close(server)
			refused, _ := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
			unix.Connect(refused, address)
			unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
		},
	},
	{
		name: "datagrams", types: "socket bind connect sendto recvfrom sendmmsg recvmmsg write",
		calls: func(string) {
			server, _ := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
			unix.Bind(server, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
			address, _ := unix.Getsockname(server)
			client, _ := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
			unix.Sendto(client, []byte("a"), 0, address)
			unix.Connect(client, address)
			unix.Write(client, []byte("b"))
			buf := make([]byte, 100)
			unix.Recvfrom(server, buf, 0)
			unix.Recvfrom(server, buf, unix.MSG_DONTWAIT)
			unix.Recvfrom(server, buf, unix.MSG_DONTWAIT)
			six, _ := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM, 0)
			unix.Connect(six, &unix.SockaddrInet6{Addr: [16]byte{15: 1}, Port: 9})
		},
	},
	{
		name: "unix sockets", types: "socket bind listen connect accept4 sendto",
		calls: func(dir string) {
			server, _ := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
			unix.Bind(server, &unix.SockaddrUnix{Name: "sock"})
			unix.Listen(server, 1)
			client, _ := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
			unix.Connect(client, &unix.SockaddrUnix{Name: "sock"})
			unix.Accept4(server, 0)
			unix.Sendto(client, []byte("x"), 0, nil)
			other, _ := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
			unix.Connect(other, &unix.SockaddrUnix{Name: dir + "/none"})
			abstract, _ := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
			unix.Connect(abstract, &unix.SockaddrUnix{Name: "@falcotest-none"})
		},
	},
	{
		name: "signals and processes", types: "kill tkill tgkill ptrace prctl setpgid setsid getrlimit setrlimit prlimit setns unshare seccomp capset",
		calls: func(string) {
			unix.Kill(1<<30, unix.SIGTERM)
			raw(unix.SYS_TKILL, 1<<30, uintptr(unix.SIGUSR1))
			unix.Tgkill(1<<30, 1<<30, unix.SIGHUP)
			raw(unix.SYS_PTRACE, unix.PTRACE_TRACEME)
			raw(unix.SYS_PTRACE, unix.PTRACE_ATTACH, 1<<30)
			unix.Prctl(unix.PR_SET_NAME, cstr("renamed"), 0, 0, 0)
			unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)
			unix.Setpgid(0, 0)
			unix.Setsid()
			raw(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_CORE, 0, cbuf(make([]byte, 16)))
			unix.Setns(-1, unix.CLONE_NEWNET)
			unix.Unshare(unix.CLONE_NEWPID | 1)
			raw(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_STRICT, 7)
		},
	},
	{
		name: "system", types: "mount umount2 init_module finit_module delete_module bpf userfaultfd mprotect memfd_create process_vm_readv poll ppoll semget semctl mlock fsconfig io_uring_setup quotactl",
		calls: func(string) {
			unix.Mount("none", "/does/not/exist", "tmpfs", unix.MS_NOSUID|unix.MS_RDONLY, "")
			unix.Unmount("/does/not/exist", unix.MNT_DETACH)
			raw(unix.SYS_DELETE_MODULE, cstr("falcotest_none"), unix.O_NONBLOCK)
			raw(unix.SYS_FINIT_MODULE, 999, cstr("a=b"), 1)
			raw(unix.SYS_BPF, 5, 0, 0)
			raw(unix.SYS_SEMGET, 0, 1000000, 0o1600)
			raw(unix.SYS_FSCONFIG, 999, 1, cstr("key"), cstr("value"), 0)
			raw(unix.SYS_QUOTACTL, 0x800002<<8|1, cstr("/dev/none"), 2, cstr("/quota"))
			raw(unix.SYS_PPOLL, cbuf([]byte{3, 0, 0, 0, 1, 0, 0, 0}), 1, readOnly(unix.NsecToTimespec(1500)), 0, 8)
		},
	},
	{
		// Not sched_yield, which Go's runtime calls on this thread too.
		name: "by number alone", types: "getppid statfs inotify_add_watch",
		calls: func(string) {
			unix.Getppid()
			var st unix.Statfs_t
			unix.Statfs("/", &st)
			unix.InotifyAddWatch(999, "/", 1)
		},
	},
	{
		name: "failed exec", types: "execve execveat",
		calls: func(dir string) {
			unix.Exec("./none", []string{"none", "-a", "b c"}, []string{"A=1", "B=2"})
			unix.Exec(dir, []string{"dir"}, nil)
			raw(unix.SYS_EXECVEAT, 999, cstr("x"), 0, 0, 0)
		},
	},
}

var update = flag.Bool("update", false, "write the files of testdata/calls anew")

// neutral replaces what differs from run to run, and from user to user.
func neutral(s, dir string) string {
	s = strings.ReplaceAll(s, dir, "DIR")
	for _, r := range []struct{ re, with string }{
		{`\b(tid|pid|ptid|pgid|vpgid)=([0-9]+)\([^)]*\)`, "$1=$2"}, // names of processes that the event knows
		{`\bdev=[0-9A-F]{2,}`, "dev=D"},
		{`\b(ino|exe_ino)=[1-9][0-9]*`, "$1=N"},
		{`\b(tid|pid|ptid|pgid|vpgid)=[0-9]{1,8}( |$)`, "$1=P$2"},
		{`127\.0\.0\.1:[1-9][0-9]*`, "127.0.0.1:PORT"}, {`0\.0\.0\.0:[1-9][0-9]*`, "0.0.0.0:PORT"},
		{`::1:[0-9]{4,5}`, "::1:PORT"},
		{`(getcwd: res)=[0-9]+`, "$1=R"}, {`((delete_module|finit_module|quotactl): res|bpf: fd)=-[0-9]+\([A-Z0-9]+\)`, "$1=E"},
		{`argument=\w+`, "argument=A"},
		{`(fdlimit|pgft_maj|pgft_min|vm_size|vm_rss|vm_swap|uid|gid|loginuid|tty|oldcur|oldmax)=(-?[0-9]+(\([^)]*\))?)`, "$1=N"},
		{`(cap_\w+)=[0-9A-F]+`, "$1=C"}, {`(exe_ino_[cm]time)=[0-9-]+ [0-9:.]+`, "$1=T"},
		{`cgroups=.*? env=`, "cgroups=G env="},
		{`(trusted_exepath)=[^ ]+`, "$1=E"}, {`comm=[^ ]+`, "comm=C"},
		{`flags=[0-9]+(\(EXE_[A-Z_|]*\))? (cap_inh)`, "flags=EXE $2"},
	} {
		s = regexp.MustCompile(r.re).ReplaceAllString(s, r.with)
	}
	return s
}

// callWays are the sets of ways of looking at tracees that the calls are read
// by. Where the events are others than by the best ways, there is a file of
// their own.
var callWays = []struct {
	name string
	ways trace.Way
}{
	{"", 0},
	{"proc", trace.ProcMem | trace.ProcNet},
	{"ptrace", trace.PeekData | trace.FollowCalls},
	{"nothing", 1 << 7},
}

func TestCalls(t *testing.T) {
	for i, test := range callTests {
		for _, by := range callWays {
			t.Run(strings.TrimSuffix(test.name+" by "+by.name, " by "), func(t *testing.T) {
				if runtime.GOARCH != "amd64" {
					t.Skip("the recorded events are those of amd64")
				}
				dir, err := filepath.EvalSymlinks(t.TempDir())
				if err != nil {
					t.Fatal(err)
				}
				have := callEvents(t, i, by.ways, dir)
				usual := filepath.Join("testdata", "calls", strings.ReplaceAll(test.name, " ", "_")+".txt")
				file := usual
				if by.name != "" {
					file = strings.TrimSuffix(usual, "txt") + by.name + ".txt"
				}
				want, err := os.ReadFile(file)
				if *update && file == usual || *update && have != read(t, usual) {
					err = os.WriteFile(file, []byte(have), 0o644)
					want = []byte(have)
				}
				if by.name != "" && os.IsNotExist(err) {
					file, err = usual, nil
					want = []byte(read(t, usual))
				}
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(have, "\n")); diff != "" {
					t.Errorf("events differ from %s (-want +got):\n%s", file, diff)
				}
			})
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// callEvents traces the calls of a test and renders their events.
func callEvents(t *testing.T, test int, ways trace.Way, dir string) string {
	t.Helper()
	var got strings.Builder
	begun := false
	types := callTests[test].types
	var caller int64
	// Go's runtime interrupts goroutines that run for long by signals.
	t.Setenv("GODEBUG", "asyncpreemptoff=1")
	for _, e := range recordBy(t, ways, append(strings.Fields(types), "chdir"), "calls", strconv.Itoa(test), dir) {
		if e.Type == event.SysChdir && !begun {
			begun, caller = true, e.Thread.TID // what went before is Go's runtime
			continue
		}
		if !begun || e.Thread.TID != caller || e.Type == event.SysChdir && !strings.Contains(types, "chdir") {
			continue
		}
		e.World = nil // numbers without names
		fmt.Fprintf(&got, "%s: %s", e.Type, e.Args())
		if e.HasFD {
			fmt.Fprintf(&got, " | fd %d", e.FDNum)
			if fd := e.FD; fd != nil {
				fmt.Fprintf(&got, " %s %s", fd.Type, fd.Name)
				if u := fd.Unknown; u != (event.FDUnknowns{}) {
					fmt.Fprintf(&got, " (unknown: type %t, name %t, local end %t, file %t)", u.Type != 0, u.Name != 0, u.Local != 0, u.File != 0)
				}
			}
		}
		got.WriteString("\n")
	}
	return neutral(got.String(), dir)
}
