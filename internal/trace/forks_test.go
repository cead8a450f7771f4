// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package trace_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/event"
)

// cloneArgs is struct clone_args of linux/sched.h.
type cloneArgs struct {
	flags, pidfd, childTID, parentTID, exitSignal, stack, stackSize, tls uint64
}

// cloned makes a child by clone3(2) that opens name until that does not fail for
// want of a tracer, and exits with the errno. It returns how the child ended.
//
//go:noinline
func cloned(args *cloneArgs, name *byte) syscall.WaitStatus {
	atCwd := unix.AT_FDCWD
	pid, _, errno := syscall.RawSyscall6(unix.SYS_CLONE3, uintptr(unsafe.Pointer(args)), unsafe.Sizeof(*args), 0, 0, 0, 0)
	if errno != 0 {
		fmt.Fprintln(os.Stderr, "clone3:", errno)
		os.Exit(1)
	}
	if pid == 0 {
		for {
			_, _, errno := syscall.RawSyscall6(unix.SYS_OPENAT, uintptr(atCwd), uintptr(unsafe.Pointer(name)), 0, 0, 0, 0)
			if errno != unix.ENOSYS {
				syscall.RawSyscall(unix.SYS_EXIT_GROUP, uintptr(errno), 0, 0)
			}
		}
	}
	var ws syscall.WaitStatus
	for {
		if _, err := syscall.Wait4(int(pid), &ws, 0, nil); err != unix.EINTR {
			return ws
		}
	}
}

func init() {
	tracees["untraced clone3"] = func(args []string) {
		name, _ := unix.BytePtrFromString(args[0])
		fd, err := unix.MemfdCreate("args", 0)
		if err == nil {
			err = unix.Ftruncate(fd, int64(os.Getpagesize()))
		}
		if err != nil {
			os.Exit(1)
		}
		writable, err1 := unix.Mmap(fd, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		readable, err2 := unix.Mmap(fd, 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_SHARED)
		if err1 != nil || err2 != nil {
			os.Exit(1)
		}
		binary.NativeEndian.PutUint64(writable, unix.CLONE_UNTRACED)
		binary.NativeEndian.PutUint64(writable[32:], uint64(unix.SIGCHLD))
		if ws := cloned((*cloneArgs)(unsafe.Pointer(&readable[0])), name); ws.ExitStatus() != int(unix.ENOENT) {
			fmt.Fprintln(os.Stderr, "the child's openat:", syscall.Errno(ws.ExitStatus()))
			os.Exit(1)
		}
	}
	tracees["changing clone3"] = func(args []string) {
		name, _ := unix.BytePtrFromString(args[0])
		n, _ := strconv.Atoi(args[1])
		arg := &cloneArgs{exitSignal: uint64(unix.SIGCHLD)}
		var stop atomic.Bool
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread()
			var all unix.CPUSet // beside its maker, which the tracer has bound
			for cpu := range runtime.NumCPU() {
				all.Set(cpu)
			}
			unix.SchedSetaffinity(0, &all)
			for !stop.Load() {
				atomic.StoreUint64(&arg.flags, unix.CLONE_UNTRACED)
				atomic.StoreUint64(&arg.flags, 0)
			}
		}()
		for range n {
			cloned(arg, name)
		}
		stop.Store(true)
		<-done
	}
	// A thread that makes children while another executes a program is killed
	// alone, perhaps before it tells of its last child.
	tracees["makers killed by exec"] = func(args []string) {
		name, _ := unix.BytePtrFromString(args[0])
		var made atomic.Int32
		for range 4 {
			go func() {
				runtime.LockOSThread()
				for {
					atCwd := unix.AT_FDCWD
					pid, _, _ := syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
					if pid == 0 {
						syscall.RawSyscall6(unix.SYS_OPENAT, uintptr(atCwd), uintptr(unsafe.Pointer(name)), 0, 0, 0, 0)
						syscall.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
					}
					made.Add(1)
					syscall.Wait4(int(pid), nil, 0, nil)
				}
			}()
		}
		for made.Load() < 20 {
			runtime.Gosched()
		}
		fmt.Fprintln(os.Stderr, syscall.Exec("/bin/true", []string{"true"}, nil))
		os.Exit(1)
	}
	tracees["sibling"] = func(args []string) {
		name, _ := unix.BytePtrFromString(args[0])
		atCwd := unix.AT_FDCWD
		// The child makes a sibling of its own, and lives until it is told of.
		pid, _, _ := syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
		if pid == 0 {
			for range 20 {
				pid, _, _ := syscall.RawSyscall6(unix.SYS_CLONE, unix.CLONE_PARENT|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
				if pid == 0 {
					syscall.RawSyscall6(unix.SYS_OPENAT, uintptr(atCwd), uintptr(unsafe.Pointer(name)), 0, 0, 0, 0)
					break
				}
			}
			syscall.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
		}
		for {
			if _, err := syscall.Wait4(-1, nil, 0, nil); err != nil && err != unix.EINTR {
				return
			}
		}
	}
}

func TestUntracedClone3(t *testing.T) {
	name := filepath.Join(t.TempDir(), "none")
	for _, names := range [][]string{{"openat"}, {"openat", "clone3"}} {
		events := record(t, names, "untraced clone3", name)
		if got := len(opensOf(events, name)); got != 1 {
			t.Errorf("the open of a child made with CLONE_UNTRACED in read-only memory was seen %d times", got)
		}
	}
}

func TestChangingClone3(t *testing.T) {
	name := filepath.Join(t.TempDir(), "none")
	const n = 300
	opens, births := 0, 0
	for _, e := range record(t, []string{"openat", "clone3"}, "changing clone3", name, strconv.Itoa(n)) {
		switch {
		case e.Type == event.SysClone3 && e.Ret == 0 && e.Thread.TID == e.Thread.Process.PID:
			births++
		case e.Type == event.SysOpenat && e.Params[2].Path == name && e.Ret == -int64(unix.ENOENT):
			opens++
		}
	}
	if births != n || opens != n {
		t.Errorf("%d children were made, %d births and %d opens of theirs were seen", n, births, opens)
	}
}

// TestMakersKilledByExec sees that children whose makers were killed are let go,
// and that they are children of the process still.
func TestMakersKilledByExec(t *testing.T) {
	name := filepath.Join(t.TempDir(), "none")
	for range 20 {
		born, opened := map[int64]bool{}, map[int64]bool{}
		for _, e := range record(t, []string{"openat", "clone", "execve"}, "makers killed by exec", name) {
			switch p := e.Thread.Process; {
			case e.Type == event.SysClone && e.Ret == 0 && p.PID == e.Thread.TID:
				born[p.PID] = true
			case e.Type == event.SysOpenat && e.Params[2].Path == name:
				opened[p.PID] = true
			}
		}
		for pid := range opened {
			if !born[pid] {
				t.Errorf("the birth of process %d was not seen", pid)
			}
		}
		if len(opened) < 20 {
			t.Errorf("%d processes opened the file, want at least 20", len(opened))
		}
	}
}

func TestSibling(t *testing.T) {
	name := filepath.Join(t.TempDir(), "none")
	events := record(t, []string{"openat", "clone"}, "sibling", name)
	opens := opensOf(events, name)
	if len(opens) != 20 {
		t.Errorf("20 siblings opened the file, %d were seen", len(opens))
	}
	for _, e := range opens {
		if p := e.Thread.Process; p.Parent == nil || p.Parent.Comm != p.Comm || p.Parent.Parent.Comm == p.Comm && p.Parent.Parent.Parent.Comm == p.Comm {
			t.Errorf("the parent of the sibling %d is %+v", p.PID, p.Parent)
		}
	}
}

// TestForksAtOnce lets four shells fork at the same time and counts: each child
// is born of its maker, with what its maker knew of its descriptors.
func TestForksAtOnce(t *testing.T) {
	const shells, forks = 4, 50
	rounds := 20
	if testing.Short() {
		rounds = 3
	}
	dir := must(filepath.EvalSymlinks(t.TempDir()))
	if err := os.WriteFile(filepath.Join(dir, "target"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	// The kernel knows the file by another name than the one it was opened by,
	// which is what Falco reports: only the maker's record has it.
	link := filepath.Join(dir, "link")
	if err := os.Symlink("target", link); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf(`exec 7>>%s
f() { i=0; while [ $i -lt %d ]; do (echo x >&7); i=$((i+1)); done; }
for n in 1 2 3 4; do f & done; wait`, link, forks)
	for round := range rounds {
		births, named, wrong := 0, 0, map[string]int{}
		for _, e := range record(t, []string{"openat", "open", "write", "fork", "vfork", "clone", "clone3", "procexit"}, "exec", "sh", "-c", script) {
			switch e.Type {
			case event.SysFork, event.SysVfork, event.SysClone, event.SysClone3:
				if e.Ret == 0 && e.Thread.Process.Comm == "sh" {
					births++
				}
			case event.SysWrite:
				if e.Params[1].Str != "x\n" {
					continue
				}
				if e.FD != nil && e.FD.Name == link {
					named++
				} else if e.FD != nil {
					wrong[e.FD.Name]++
				} else {
					wrong["no record"]++
				}
			}
		}
		if births != shells*(forks+1) || named != shells*forks {
			t.Errorf("round %d: %d of %d births were seen, %d of %d writes had the right name, others %v",
				round, births, shells*(forks+1), named, shells*forks, wrong)
		}
	}
}
