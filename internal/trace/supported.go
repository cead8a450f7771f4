// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package trace

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Supported tells why no system call can be traced here, nil when they can. Of
// what a container or a policy forbids, the error says what allows it. It tries
// on a process of its own, once; the answer is then kept.
//
// Whether a certain process may be traced, only [Attach] tells.
func Supported() error {
	_, err := Probe()
	return err
}

// Probe returns the ways in which tracees can be looked at here, with the error
// of [Supported]. It is safe for concurrent use.
func Probe() (Way, error) { return probed() }

var probed = sync.OnceValues(func() (Way, error) {
	if err := needFilters(); err != nil {
		return 0, err
	}
	if err := needProc(); err != nil {
		return 0, err
	}
	type answer struct {
		ways Way
		err  error
	}
	c := make(chan answer)
	go onFreshThread(func() {
		ways, err := probeChild()
		c <- answer{ways, err}
	})
	a := <-c
	return a.ways, a.err
})

// waysFor are the ways that a tracer tries.
func waysFor(opts Options) Way {
	ways, err := Probe()
	if err != nil {
		ways = allWays // what is attached all the same may be another's child
	}
	if opts.Ways != 0 {
		ways &= opts.Ways
	}
	return ways
}

func needFilters() error {
	// A null filter is refused with EFAULT where filters exist.
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, 0)
	switch errno {
	case unix.EFAULT, unix.EACCES:
		return nil
	case unix.EPERM:
		return fmt.Errorf("tracing system calls is denied here: seccomp: %w: in a container, --security-opt seccomp=unconfined allows it", errno)
	}
	return fmt.Errorf("tracing system calls needs seccomp filters: %w", errno)
}

// needProc looks whether /proc is there and numbers processes as this process
// does: without both, what it says would be of no process or of another one.
func needProc() error {
	self, err := os.Readlink("/proc/self")
	if err != nil {
		return fmt.Errorf("tracing system calls needs /proc: %w", err)
	}
	if self != strconv.Itoa(os.Getpid()) {
		return errors.New("tracing system calls needs a /proc of the PID namespace that it runs in, and this one is another's: mount one, as unshare --mount-proc does")
	}
	return nil
}

// probeChild traces a process of its own, which never runs anything, and tries
// how that may be looked at.
func probeChild() (Way, error) {
	// The child asks to be traced, and stops when it has executed this program.
	pid, err := syscall.ForkExec("/proc/self/exe", []string{"falcotest-probe"}, &syscall.ProcAttr{
		Files: []uintptr{}, Sys: &syscall.SysProcAttr{Ptrace: true},
	})
	if err != nil {
		return 0, deniedError(err)
	}
	defer func() {
		_ = unix.Kill(pid, unix.SIGKILL)
		for {
			var ws unix.WaitStatus
			_, err := unix.Wait4(pid, &ws, unix.WALL, nil)
			if err != unix.EINTR && (err != nil || ws.Exited() || ws.Signaled()) {
				return
			}
		}
	}()
	var ws unix.WaitStatus
	for {
		if _, err = unix.Wait4(pid, &ws, unix.WALL, nil); err != unix.EINTR {
			break
		}
	}
	if err != nil || !ws.Stopped() {
		return 0, fmt.Errorf("tracing system calls: a process that was to be traced did not stop (status %#x): %w", uint32(ws), err)
	}
	var info syscallInfo
	if err := ptraceSyscallInfo(pid, &info); err != nil {
		return 0, fmt.Errorf("tracing system calls needs Linux 5.3 or newer: ptrace: %w", err)
	}
	t := &tracer{}
	defer t.closeMem()
	ways := FollowCalls
	var word [8]byte
	for way, read := range map[Way]func(int, uint64, []byte) (int, error){
		ProcessVMReadv: t.processVMReadv, ProcMem: t.procMem, PeekData: t.peekData,
	} {
		if n, err := read(pid, info.sp&^7, word[:]); err == nil && n == len(word) {
			ways |= way
		}
	}
	switch fd, err := openSocket(int64(pid), 0); {
	case err == nil:
		unix.Close(fd)
		ways |= PidfdGetfd
	case errors.Is(err, unix.EBADF): // it may be asked, and has none
		ways |= PidfdGetfd
	}
	if unix.Access("/proc/"+strconv.Itoa(pid)+"/net/unix", unix.R_OK) == nil {
		ways |= ProcNet
	}
	return ways, nil
}

// deniedError says what allows tracing where it is refused.
func deniedError(err error) error {
	if !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.ENOSYS) {
		return fmt.Errorf("trying whether system calls can be traced: %w", err)
	}
	hint := "in a container, --cap-add SYS_PTRACE or --security-opt seccomp=unconfined allows it"
	if scope := yamaScope(); scope == "2" || scope == "3" {
		hint = "kernel.yama.ptrace_scope is " + scope
		if scope == "2" {
			hint += ", so that it takes the capability CAP_SYS_PTRACE"
		}
	}
	return fmt.Errorf("tracing system calls is denied here: ptrace: %w: %s", err, hint)
}

// yamaScope is the policy of the Yama security module, "" without one.
func yamaScope() string {
	b, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
