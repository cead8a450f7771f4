// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package trace_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/trace"
)

func init() {
	// The program becomes another user, to whose memory and /proc files root
	// without CAP_SYS_PTRACE has no access, and does something before it executes
	// a program as that user.
	tracees["other user"] = func(args []string) {
		fd := mustOpen(args[0], unix.O_RDONLY)
		if err := syscall.Setuid(65534); err != nil {
			os.Exit(33)
		}
		unix.Openat(unix.AT_FDCWD, "/etc/hostname", unix.O_RDONLY, 0)
		unix.Chdir("/tmp")
		unix.Read(fd, make([]byte, 1))
		unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		fmt.Fprintln(os.Stderr, syscall.Exec("/bin/cat", []string{"cat", "/etc/hostname"}, []string{"A=b"}))
		os.Exit(34)
	}
}

const withoutPtrace = "FALCOTEST_WITHOUT_PTRACE"

// TestUnknown traces a process that may not be looked at: what cannot be known of
// it is unknown, neither missing nor what it was before.
func TestUnknown(t *testing.T) {
	if os.Getenv(withoutPtrace) == "" {
		if os.Geteuid() != 0 {
			t.Skip("changing the user needs root")
		}
		needTracing(t)
		inAnother(t, withoutPtrace, func() error {
			header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			var data [2]unix.CapUserData
			if err := unix.Capget(&header, &data[0]); err != nil {
				return err
			}
			// The others allow to read environments, and imply it.
			for _, capability := range []uint{unix.CAP_SYS_PTRACE, unix.CAP_PERFMON, unix.CAP_SYS_ADMIN} {
				if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(capability), 0, 0, 0); err != nil {
					return err
				}
				half := &data[capability/32]
				for _, set := range []*uint32{&half.Effective, &half.Permitted, &half.Inheritable} {
					*set &^= 1 << (capability % 32)
				}
			}
			return unix.Capset(&header, &data[0])
		})
		return
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	events := record(t, []string{"openat", "chdir", "read", "socket", "execve", "setuid"}, "other user", file)
	changed, executed := false, false
	seen := map[event.Type]bool{}
	for _, e := range events {
		p := e.Thread.Process
		switch {
		case e.Type == event.SysSetuid:
			changed = true
			continue
		case !changed:
			if e.Type == event.SysOpenat && e.FD != nil && e.FD.Unknown != (event.FDUnknowns{}) {
				t.Errorf("before, a descriptor is unknown: %+v", e.FD)
			}
			continue
		case e.Type == event.SysExecve && e.Ret == 0:
			executed = true
			if p.Comm != "cat" || len(p.Args) != 1 || p.UID != 65534 {
				t.Errorf("what anybody may know is %q, %q, user %d", p.Comm, p.Args, p.UID)
			}
			if p.Unknown.Exe != event.UnknownProc || p.Unknown.Env != event.UnknownProc {
				t.Errorf("the program is %q, the environment %q: %+v", p.ExePath, p.Env, p.Unknown)
			}
			continue
		case executed || seen[e.Type]:
			continue
		}
		seen[e.Type] = true
		switch e.Type {
		case event.SysOpenat:
			if e.Params[2].Unknown != event.UnknownMemory || e.ParamUnknown(2) != event.UnknownMemory || e.FD == nil || e.FD.Unknown.Name != event.UnknownMemory {
				t.Errorf("openat: %s, descriptor %+v", e.Args(), e.FD)
			}
			if !strings.Contains(e.Args(), "name=<unknown>") {
				t.Errorf("openat is printed as %s", e.Args())
			}
		case event.SysChdir:
			if p.Unknown.Cwd != event.UnknownProc {
				t.Errorf("chdir: now in %q: %+v", p.Cwd, p.Unknown)
			}
		case event.SysRead:
			if e.FD == nil || e.FD.Unknown.Name != event.UnknownProc || e.Params[1].Unknown != event.UnknownMemory {
				t.Errorf("read: %s, descriptor %+v", e.Args(), e.FD)
			}
		case event.SysSocket:
			if e.FD == nil || e.FD.Type != event.FDIPv4 || e.FD.Unknown.Type != event.Known {
				t.Errorf("socket: what the call tells is known: %s, descriptor %+v", e.Args(), e.FD)
			}
		}
	}
	for _, typ := range []event.Type{event.SysOpenat, event.SysChdir, event.SysRead, event.SysSocket} {
		if !seen[typ] {
			t.Errorf("no %s was seen after setuid", typ)
		}
	}
	if !executed {
		t.Error("no execve was seen")
	}
}

// inAnother runs the test that calls it in another process, which has changed
// itself.
func inAnother(t *testing.T, env string, change func() error) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// The thread is changed for good, and ends with its goroutine.
	type result struct {
		out []byte
		err error
	}
	c := make(chan result)
	go func() {
		runtime.LockOSThread()
		if err := change(); err != nil {
			c <- result{err: err}
			return
		}
		cmd := exec.Command(exe, "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), env+"=1")
		out, err := cmd.CombinedOutput()
		c <- result{out, err}
	}()
	r := <-c
	var exit *exec.ExitError
	if r.err != nil && !errors.As(r.err, &exit) {
		t.Skipf("this process cannot be changed: %v", r.err)
	}
	t.Logf("%s", r.out)
	if r.err != nil {
		t.Error(r.err)
	}
}

// TestProbe finds the ways to look at tracees; a tracer that may use one only
// still works, which TestCalls tests.
func TestProbe(t *testing.T) {
	ways, err := trace.Probe()
	if err != nil {
		t.Skip(err)
	}
	if ways&(trace.ProcessVMReadv|trace.ProcMem|trace.PeekData) == 0 || ways&trace.FollowCalls == 0 {
		t.Errorf("only the ways %b work here", ways)
	}
	again, err := trace.Probe()
	if again != ways || err != nil {
		t.Errorf("then %b, %v", again, err)
	}
}
