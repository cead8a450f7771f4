// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package trace_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/trace"
)

func init() {
	tracees["threads"] = func(args []string) {
		n, _ := strconv.Atoi(args[0])
		var ready, done sync.WaitGroup
		ready.Add(n)
		for range n {
			done.Go(func() {
				runtime.LockOSThread() // the thread ends with the goroutine
				ready.Done()
				ready.Wait()
				for i := range 3 {
					unix.Open(args[1]+strconv.Itoa(i), unix.O_RDONLY, 0)
				}
			})
		}
		done.Wait()
	}
	tracees["exec from a thread"] = func(args []string) {
		var wait sync.WaitGroup
		wait.Add(1)
		go func() {
			runtime.LockOSThread()
			if unix.Gettid() == unix.Getpid() {
				go func() {
					runtime.LockOSThread()
					fmt.Fprintln(os.Stderr, syscall.Exec(args[0], args, os.Environ()))
				}()
				select {}
			}
			fmt.Fprintln(os.Stderr, syscall.Exec(args[0], args, os.Environ()))
			os.Exit(1)
		}()
		wait.Wait()
	}
	tracees["threads at the gate"] = func([]string) {}
	atGate["threads at the gate"] = func() {
		var makers sync.WaitGroup
		for range 2 {
			makers.Add(1)
			go func() {
				runtime.LockOSThread()
				for i := 0; ; i++ {
					ended := make(chan struct{})
					go func() {
						runtime.LockOSThread() // the thread ends with the goroutine
						close(ended)
					}()
					if <-ended; i == 1 {
						makers.Done()
					}
				}
			}()
		}
		makers.Wait()
		unix.Write(1, []byte("."))
	}
	tracees["killer"] = func(args []string) {
		n, _ := strconv.Atoi(args[0])
		seed, _ := strconv.ParseUint(args[1], 10, 64)
		deadline := time.Now().Add(12 * time.Second)
		var wait sync.WaitGroup
		killed := make(chan int, n)
		for w := range 4 {
			wait.Go(func() {
				r := rand.New(rand.NewPCG(seed, uint64(w)))
				for range n / 4 {
					if time.Now().After(deadline) {
						return
					}
					cmd := exec.Command("/bin/sh", "-c", `while :; do : < /dev/null; (: < /dev/null); done`)
					cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
					if cmd.Start() != nil {
						continue
					}
					// The time is what is random here, not a wait for something.
					time.Sleep(time.Duration(r.IntN(3000)) * time.Microsecond)
					syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
					cmd.Wait()
					killed <- 1
				}
			})
		}
		wait.Wait()
		fmt.Println(len(killed))
	}
	tracees["stop"] = func([]string) {
		cont := make(chan os.Signal, 1)
		signal.Notify(cont, syscall.SIGCONT)
		cmd := exec.Command("/bin/sh", "-c", "kill -STOP $$; : < /dev/null")
		if err := cmd.Start(); err != nil {
			os.Exit(1)
		}
		var ws syscall.WaitStatus
		if _, err := syscall.Wait4(cmd.Process.Pid, &ws, syscall.WUNTRACED, nil); err != nil || !ws.Stopped() {
			fmt.Fprintln(os.Stderr, "not stopped", ws, err)
			os.Exit(1)
		}
		syscall.Kill(cmd.Process.Pid, syscall.SIGCONT)
		if err := cmd.Wait(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	tracees["daemon"] = func([]string) {
		// A grandchild that has left the session, and does not die easily.
		cmd := exec.Command("/bin/sh", "-c", `trap "" TERM HUP INT; (exec sleep 1000) & : < /dev/null; wait`)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	tracees["own filter"] = func(args []string) {
		// Deny mkdirat with EPERM, in a filter of our own.
		deny := []unix.SockFilter{
			{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
			{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SYS_MKDIRAT},
			{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
			{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		}
		prog := unix.SockFprog{Len: uint16(len(deny)), Filter: &deny[0]}
		runtime.LockOSThread()
		unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
		if args[0] == "prctl" {
			if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		} else if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&prog))); errno != 0 {
			fmt.Fprintln(os.Stderr, errno)
			os.Exit(1)
		}
		if err := unix.Mkdirat(unix.AT_FDCWD, args[1], 0o700); err != unix.EPERM {
			fmt.Fprintln(os.Stderr, "mkdirat:", err)
			os.Exit(1)
		}
	}
	tracees["untraced child"] = func(args []string) {
		name, _ := unix.BytePtrFromString(args[0])
		pid, _, errno := syscall.RawSyscall6(unix.SYS_CLONE, unix.CLONE_UNTRACED|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
		if errno != 0 {
			os.Exit(1)
		}
		if pid == 0 {
			atCwd := unix.AT_FDCWD
			_, _, errno := syscall.RawSyscall6(unix.SYS_OPENAT, uintptr(atCwd), uintptr(unsafe.Pointer(name)), 0, 0, 0, 0)
			syscall.RawSyscall(unix.SYS_EXIT_GROUP, uintptr(errno), 0, 0)
		}
		var ws syscall.WaitStatus
		syscall.Wait4(int(pid), &ws, 0, nil)
		if ws.ExitStatus() != int(unix.ENOENT) {
			fmt.Fprintln(os.Stderr, "the child's openat:", syscall.Errno(ws.ExitStatus()))
			os.Exit(1)
		}
	}
	tracees["bad memory"] = func([]string) {
		openat := func(addr uintptr) {
			atCwd := unix.AT_FDCWD
			unix.Syscall6(unix.SYS_OPENAT, uintptr(atCwd), addr, unix.O_PATH, 0, 0, 0)
		}
		openat(1)
		openat(0)
		// A path that runs into the end of what is mapped.
		two, err := unix.Mmap(-1, 0, 2*os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			os.Exit(1)
		}
		page := os.Getpagesize()
		unix.Mprotect(two[page:], unix.PROT_NONE)
		copy(two[page-4:], "/abc")
		openat(uintptr(unsafe.Pointer(&two[page-4])))
		copy(two[page-5:], "/end\x00")
		openat(uintptr(unsafe.Pointer(&two[page-5])))
	}
	tracees["changing path"] = func(args []string) {
		name := []byte(args[0] + "/aaaa\x00")
		last := name[len(name)-5 : len(name)-1]
		stop := make(chan struct{})
		var wait sync.WaitGroup
		wait.Go(func() {
			for c := uint32(0x61616161); ; c ^= 0x03030303 { // aaaa, bbbb, …
				select {
				case <-stop:
					return
				default:
					*(*uint32)(unsafe.Pointer(&last[0])) = c
				}
			}
		})
		atCwd := unix.AT_FDCWD
		for range 500 {
			unix.Syscall6(unix.SYS_OPENAT, uintptr(atCwd), uintptr(unsafe.Pointer(&name[0])), unix.O_PATH, 0, 0, 0)
		}
		close(stop)
		wait.Wait()
	}
}

// opensOf returns the events that opened a path with this prefix.
func opensOf(events []*event.Event, prefix string) (list []*event.Event) {
	for _, e := range events {
		for _, p := range e.Params {
			if strings.HasPrefix(p.Path, prefix) && (e.Type == event.SysOpenat || e.Type == event.SysOpen) {
				list = append(list, e)
			}
		}
	}
	return list
}

func TestThousandThreads(t *testing.T) {
	const n = 1000
	prefix := filepath.Join(t.TempDir(), "none")
	events := record(t, []string{"openat", "open", "clone", "clone3", "procexit"}, "threads", strconv.Itoa(n), prefix)
	if got := len(opensOf(events, prefix)); got != 3*n {
		t.Errorf("%d opens made, %d seen", 3*n, got)
	}
	tids := make(map[int64]bool)
	exits := 0
	for _, e := range opensOf(events, prefix) {
		tids[e.Thread.TID] = true
	}
	for _, e := range events {
		if e.Type == event.EvtProcexit {
			exits++
		}
	}
	if len(tids) != n {
		t.Errorf("the opens came from %d threads, want %d", len(tids), n)
	}
	if exits < n {
		t.Errorf("%d ends of threads seen, want at least %d", exits, n)
	}
}

func TestForkBomb(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	const depth = 7
	script := fmt.Sprintf(`f() { if [ $1 -gt 0 ]; then f $(($1-1)) & f $(($1-1)) & wait; fi; : < %s; }; f %d`, name, depth)
	events := record(t, []string{"openat", "open", "fork", "clone", "vfork"}, "exec", "sh", "-c", script)
	if got, want := len(opensOf(events, name)), 1<<(depth+1)-1; got != want {
		t.Errorf("%d opens made, %d seen", want, got)
	}
	pids := make(map[int64]bool)
	for _, e := range opensOf(events, name) {
		pids[e.Thread.Process.PID] = true
		if e.Thread.Process.Parent == nil {
			t.Errorf("process %d has no parent", e.Thread.Process.PID)
		}
	}
	if want := 1<<(depth+1) - 1; len(pids) != want {
		t.Errorf("the opens came from %d processes, want %d", len(pids), want)
	}
}

func TestManyExecs(t *testing.T) {
	const n = 200
	script := fmt.Sprintf(`i=0; while [ $i -lt %d ]; do /bin/true & /bin/true; i=$((i+1)); done; wait`, n)
	events := record(t, []string{"execve"}, "exec", "sh", "-c", script)
	execs := 0
	for _, e := range events {
		if e.Ret == 0 && e.Thread.Process.Comm == "true" && e.Thread.Process.Parent.Comm == "sh" {
			execs++
		}
	}
	if execs != 2*n {
		t.Errorf("%d programs executed, %d seen", 2*n, execs)
	}
}

func TestExecFromThread(t *testing.T) {
	for range 20 {
		events := record(t, []string{"execve", "openat"}, "exec from a thread", "/bin/sh", "-c", ": < /dev/null")
		var execs []*event.Event
		for _, e := range events {
			if e.Type == event.SysExecve {
				execs = append(execs, e)
			}
		}
		if len(execs) != 1 {
			t.Fatalf("got %d execs, want 1", len(execs))
		}
		e := execs[0]
		if p := e.Thread.Process; e.Thread.TID != p.PID || p.Comm != "sh" || e.Params[30].Str != "/bin/sh" {
			t.Errorf("thread %d of process %d, comm %q, filename %q", e.Thread.TID, p.PID, p.Comm, e.Params[30].Str)
		}
		if got := len(opensOf(events, "/dev/null")); got < 1 {
			t.Errorf("the open after the exec was not seen")
		}
	}
}

// TestThreadsAtGate attaches to processes that make threads meanwhile. None may
// be left out: with the filter and without a tracer its calls fail.
func TestThreadsAtGate(t *testing.T) {
	n := 60
	if testing.Short() {
		n = 15
	}
	for range n {
		ctx, cancel := context.WithCancel(context.Background())
		tr := attach(t, ctx, trace.Options{Types: types(t, "openat")}, "threads at the gate")
		dir := fmt.Sprintf("/proc/%d/task/", tr.cmd.Process.Pid)
		tasks, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range tasks {
			status, err := os.ReadFile(dir + task.Name() + "/status")
			if err == nil && bytes.Contains(status, []byte("\nTracerPid:\t0\n")) && !bytes.Contains(status, []byte("\nState:\tX")) {
				t.Errorf("a thread is not traced:\n%s", status)
			}
		}
		cancel()
		tr.Wait()
	}
}

func TestKilledAtAnyTime(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	n := 1000
	if testing.Short() {
		n = 100
	}
	events := 0
	tr := attach(t, context.Background(), trace.Options{
		Types:   types(t, "openat", "open", "execve", "fork", "clone", "vfork", "procexit", "close"),
		Handler: func(*event.Event) { events++ },
	}, "killer", strconv.Itoa(n), strconv.FormatUint(seed, 10))
	tr.open()
	if exit, err := tr.Wait(); err != nil || exit.Code != 0 || exit.Signal != 0 {
		t.Errorf("exit %+v, error %v", exit, err)
	}
	killed, _ := os.ReadFile(tr.out)
	t.Logf("killed %s trees at random points, %d events", strings.TrimSpace(string(killed)), events)
}

func TestRootKilled(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 30 {
		var killed bool
		after := r.IntN(40)
		var pid atomic.Int64
		n := 0
		tr := attach(t, context.Background(), trace.Options{
			Types: types(t, "openat", "open", "execve", "fork", "clone"),
			Handler: func(e *event.Event) {
				// A thread may be born before the gate opens.
				if n++; n >= after && !killed && pid.Load() > 0 {
					killed = true
					syscall.Kill(int(pid.Load()), syscall.SIGKILL)
				}
			},
		}, "exec", "sh", "-c", `i=0; while [ $i -lt 40 ]; do (: < /dev/null); : < /dev/null; i=$((i+1)); done`)
		pid.Store(int64(tr.cmd.Process.Pid))
		tr.open()
		exit, err := tr.Wait()
		if err != nil || exit.Signal != syscall.SIGKILL {
			t.Errorf("exit %+v, error %v, after %d events", exit, err, after)
		}
	}
}

func TestGroupStop(t *testing.T) {
	events := record(t, []string{"openat", "open", "signaldeliver"}, "stop")
	if len(opensOf(events, "/dev/null")) == 0 {
		t.Error("nothing was seen after the stop")
	}
	stopped := false
	for _, e := range events {
		stopped = stopped || e.Type == event.EvtSignaldeliver && e.Params[2].Num == int64(syscall.SIGSTOP)
	}
	if !stopped {
		t.Error("SIGSTOP was not seen")
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	reason := errors.New("enough")
	tr := attach(t, ctx, trace.Options{
		Types: types(t, "openat", "open", "execve"),
		Handler: func(e *event.Event) {
			if e.Type == event.SysExecve && e.Thread.Process.Comm == "sleep" {
				cancel(reason)
			}
		},
	}, "daemon")
	tr.open()
	if _, err := tr.Wait(); !errors.Is(err, reason) {
		t.Errorf("got error %v, want %v", err, reason)
	}
	if left := leaks(); len(left) > 0 {
		t.Errorf("still there: %v", left)
	}
}

func TestCancelAtGate(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	tr := attach(t, ctx, trace.Options{Types: types(t, "openat")}, "nothing")
	cancel()
	if exit, err := tr.Wait(); !errors.Is(err, context.Canceled) || exit.Signal != syscall.SIGKILL {
		t.Errorf("got %+v, %v", exit, err)
	}
}

func TestOwnFilter(t *testing.T) {
	for _, by := range []string{"prctl", "seccomp"} {
		t.Run(by, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "dir")
			events := record(t, []string{"mkdirat"}, "own filter", by, name)
			if len(events) != 1 || events[0].Ret != -int64(unix.EPERM) || events[0].Params[2].Str != name {
				t.Errorf("got %d events", len(events))
			}
		})
	}
}

func TestUntracedChild(t *testing.T) {
	name := filepath.Join(t.TempDir(), "none")
	for _, names := range [][]string{{"openat"}, {"openat", "clone"}} {
		events := record(t, names, "untraced child", name)
		if got := len(opensOf(events, name)); got != 1 {
			t.Errorf("the open of a child made with CLONE_UNTRACED was seen %d times", got)
		}
	}
}

func TestBadMemory(t *testing.T) {
	var got []string
	for _, e := range record(t, []string{"openat"}, "bad memory") {
		if e.Params[3].Num&1 != 0 && e.Ret == -int64(unix.EFAULT) || e.Params[2].Str == "/end" {
			got = append(got, fmt.Sprintf("%v %s %d", e.Params[2].Null, e.Params[2].Str, e.Ret))
		}
	}
	want := []string{"true  -14", "true  -14", "true  -14", "false /end -2"}
	if strings.Join(got, ",") != strings.Join(want, ",") {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestChangingPath(t *testing.T) {
	dir := t.TempDir()
	events := opensOf(record(t, []string{"openat"}, "changing path", dir), dir)
	if len(events) != 500 {
		t.Errorf("500 opens made, %d seen", len(events))
	}
}

// untracedChild32 is 32-bit x86 code whose rest runs in a child made with
// CLONE_UNTRACED, while the parent waits and exits with the status 7.
var untracedChild32 = []byte{
	0xb8, 120, 0, 0, 0, // mov eax, 120 (clone)
	0xbb, 0x11, 0, 0x80, 0, // mov ebx, CLONE_UNTRACED | SIGCHLD
	0x31, 0xc9, 0x31, 0xd2, 0x31, 0xf6, 0x31, 0xff, // no more arguments
	0xcd, 0x80, // int 0x80
	0x85, 0xc0, // test eax, eax
	0x74, 28, // jz child
	0xb8, 7, 0, 0, 0, // mov eax, 7 (waitpid)
	0xbb, 0xff, 0xff, 0xff, 0xff, // mov ebx, -1
	0x31, 0xc9, 0x31, 0xd2, // no more arguments
	0xcd, 0x80, // int 0x80
	0xb8, 1, 0, 0, 0, // mov eax, 1 (exit)
	0xbb, 7, 0, 0, 0, // mov ebx, 7
	0xcd, 0x80, // int 0x80
}

// elf32 is a 32-bit x86 program that, after some other code, opens a file and
// exits with the status 7.
func elf32(name string, before []byte) []byte {
	const base, header = 0x08048000, 52 + 32
	code := append(slices.Clip(before), []byte{
		0xb8, 5, 0, 0, 0, // mov eax, 5 (open)
		0xbb, 0, 0, 0, 0, // mov ebx, name
		0x31, 0xc9, // xor ecx, ecx
		0xcd, 0x80, // int 0x80
		0xb8, 1, 0, 0, 0, // mov eax, 1 (exit)
		0xbb, 7, 0, 0, 0, // mov ebx, 7
		0xcd, 0x80,
	}...)
	le := binary.LittleEndian
	le.PutUint32(code[len(before)+6:], base+header+uint32(len(code)))
	body := append(code, name+"\x00"...)
	f := []byte{0x7f, 'E', 'L', 'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	for _, v := range []uint16{2, 3} { // executable, 386
		f = le.AppendUint16(f, v)
	}
	for _, v := range []uint32{1, base + header, 52, 0, 0} {
		f = le.AppendUint32(f, v)
	}
	for _, v := range []uint16{52, 32, 1, 0, 0, 0} {
		f = le.AppendUint16(f, v)
	}
	size := uint32(header + len(body))
	for _, v := range []uint32{1, 0, base, base, size, size, 5, 0x1000} {
		f = le.AppendUint32(f, v)
	}
	return append(f, body...)
}

func Test32Bit(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("calls of 32-bit programs are reported on x86 only")
	}
	for what, before := range map[string][]byte{"": nil, " of a child made with CLONE_UNTRACED": untracedChild32} {
		name := filepath.Join(t.TempDir(), "none")
		prog := filepath.Join(t.TempDir(), "prog")
		if err := os.WriteFile(prog, elf32(name, before), 0o755); err != nil {
			t.Fatal(err)
		}
		var exitErr *exec.ExitError
		if err := exec.Command(prog).Run(); !errors.As(err, &exitErr) || exitErr.ExitCode() != 7 {
			t.Skipf("this kernel runs no 32-bit programs: %v", err)
		}
		var events []*event.Event
		tr := attach(t, context.Background(), trace.Options{
			Types: types(t, "open", "execve"), Handler: func(e *event.Event) { events = append(events, e.Clone()) },
		}, "exec", prog)
		tr.open()
		if exit, err := tr.Wait(); err != nil || exit.Code != 7 {
			t.Fatal(exit, err)
		}
		if got := opensOf(events, name); len(got) != 1 || got[0].Ret != -int64(unix.ENOENT) {
			t.Errorf("the open%s of a 32-bit program was seen %d times", what, len(got))
		}
	}
}
