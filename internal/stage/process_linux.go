// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/marks"
	"github.com/falcotest/go-falcotest/internal/scenario"
)

func init() {
	fd, err := strconv.Atoi(os.Getenv(config.EnvStage))
	if err != nil || fd != ControlFD {
		return
	}
	// Credentials and some of what Falco tells belong to a thread.
	runtime.LockOSThread()
	os.Exit(process())
}

// process is the life of a process of the chain.
func process() int {
	var order Order
	if err := Receive(ControlFD, &order); err != nil {
		fmt.Fprintln(os.Stderr, "falcotest:", err)
		return 2
	}
	var err error
	switch {
	case order.Become != nil:
		err = become(order.Become, order.Marks)
	case order.Start != nil:
		var p *os.Process
		if p, err = order.Start.Start(order.Marks, true); err == nil {
			var ended *os.ProcessState
			if ended, err = p.Wait(); err == nil {
				return exitCode(ended)
			}
		}
	case order.Play != nil:
		os.Unsetenv(config.EnvStage)
		Send(ControlFD, order.Play.play(order.Marks))
		return 0
	}
	if err != nil {
		r := &Report{Done: true, Failure: err.Error()}
		Send(ControlFD, r)
		return 2
	}
	return 0
}

func exitCode(ended *os.ProcessState) int {
	if s, ok := ended.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		return 128 + int(s.Signal())
	}
	return ended.ExitCode()
}

// Start starts the process, which inherits standard output and error, and
// [ControlFD] as it is. Of a process that is no part of what is judged, begin
// says so that the last one's exec is.
func (l *Launch) Start(marks marks.Marks, begin bool) (p *os.Process, err error) {
	switch {
	case l.Last && !l.First && begin:
		marks.Begin(ControlFD, ControlFD)
		marks.Spawn(func() { p, err = l.start() })
		marks.End()
	case l.Last && !l.First:
		marks.Spawn(func() { p, err = l.start() })
	default:
		marks.Stage(func() { p, err = l.start() })
	}
	return p, err
}

func (l *Launch) start() (*os.Process, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	attr := &os.ProcAttr{
		Env:   l.Environ(os.Environ()),
		Files: []*os.File{null, os.Stderr, os.Stderr},
	}
	path, argv := l.Path, l.Argv
	switch {
	case l.First:
		path = "/proc/self/exe"
	case l.Other:
		attr.Sys = &syscall.SysProcAttr{
			Credential:  &syscall.Credential{Uid: l.UID, Gid: l.GID},
			AmbientCaps: bits(l.Ambient),
		}
	}
	p, err := os.StartProcess(path, argv, attr)
	if err != nil {
		return nil, cannotStart(argv[0], err)
	}
	Send(ControlFD, &Report{PID: p.Pid})
	return p, nil
}

func cannotStart(name string, err error) error {
	return fmt.Errorf("starting the process %s: %w", name, err)
}

// Environ is the environment of the process if that of what starts it is of.
func (l *Launch) Environ(of []string) []string {
	return append(environment(of, l.Env), fmt.Sprintf("%s=%d", config.EnvStage, ControlFD))
}

// inherited is this process's environment for one that it starts.
func inherited(more ...string) []string { return environment(os.Environ(), more) }

// environment is an environment without what is for one process alone, and with more,
// which replaces what has the same name: of two, programs see the first.
func environment(of, more []string) []string {
	given := map[string]bool{}
	for _, kv := range more {
		name, _, _ := strings.Cut(kv, "=")
		given[name] = true
	}
	var env []string
	for _, kv := range of {
		name, _, _ := strings.Cut(kv, "=")
		if !given[name] && (name == config.EnvID || !config.OfProcess(name)) {
			env = append(env, kv)
		}
	}
	return append(env, more...)
}

func bits(set uint64) (list []uintptr) {
	for bit := range 64 {
		if set&(1<<bit) != 0 {
			list = append(list, uintptr(bit))
		}
	}
	return list
}

// become changes the user and the capabilities of this process, and executes
// the other program in its place.
func become(l *Launch, marks marks.Marks) error {
	if err := l.changeCredentials(); err != nil {
		return err
	}
	marks.Become()
	err := unix.Exec(l.Path, l.Argv, os.Environ())
	return fmt.Errorf("executing %s as %s: %w", l.Path, l.Argv[0], err)
}

const (
	// SECBIT_NOROOT and its lock: executing a program gives root nothing more;
	// include/uapi/linux/securebits.h.
	secureNoRoot       = 1 << 0
	secureKeepCaps     = 1 << 4
	secureNoSetuidFix  = 1 << 2
	ambientRaise       = 2
	ambientClearAll    = 4
	capabilityVersion3 = 0x20080522
)

// changeCredentials changes those of this thread alone, which is the one that
// executes.
func (l *Launch) changeCredentials() error {
	granted, err := Granted()
	if err != nil {
		return err
	}
	ambient := l.Ambient & granted
	if l.Bounded {
		ambient = l.Capabilities.Permitted & granted
	}
	raw := func(what string, nr uintptr, args ...uintptr) {
		if err != nil {
			return
		}
		var a [5]uintptr
		copy(a[:], args)
		if _, _, errno := unix.RawSyscall6(nr, a[0], a[1], a[2], a[3], a[4], 0); errno != 0 {
			err = fmt.Errorf("%s: %w", what, errno)
		}
	}
	if l.Bounded {
		raw("giving up root's capabilities", unix.SYS_PRCTL, unix.PR_SET_SECUREBITS, secureNoRoot|secureKeepCaps)
	} else {
		raw("keeping capabilities", unix.SYS_PRCTL, unix.PR_SET_KEEPCAPS, 1)
	}
	if l.Other {
		raw("changing the groups", unix.SYS_SETGROUPS, 0, 0)
		raw("changing the group", unix.SYS_SETRESGID, uintptr(l.GID), uintptr(l.GID), uintptr(l.GID))
		raw("changing the user", unix.SYS_SETRESUID, uintptr(l.UID), uintptr(l.UID), uintptr(l.UID))
	}
	if err != nil {
		return err
	}
	if l.Bounded || l.Other && l.UID != 0 {
		inheritable := ambient
		if l.Bounded {
			inheritable |= l.Capabilities.Inheritable & granted
		}
		if err := capset(granted, granted, inheritable); err != nil {
			return fmt.Errorf("setting capabilities: %w", err)
		}
		raw("clearing ambient capabilities", unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, ambientClearAll)
		for _, bit := range bits(ambient) {
			raw("raising an ambient capability", unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, ambientRaise, bit)
		}
	}
	return err
}

func capset(effective, permitted, inheritable uint64) error {
	header := unix.CapUserHeader{Version: capabilityVersion3}
	var data [2]unix.CapUserData
	for i := range data {
		data[i] = unix.CapUserData{Effective: uint32(effective >> (32 * i)), Permitted: uint32(permitted >> (32 * i)), Inheritable: uint32(inheritable >> (32 * i))}
	}
	_, _, errno := unix.RawSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// Granted are the capabilities that this process has and may hand on: what
// all=iep stands for on this machine.
func Granted() (uint64, error) {
	header := unix.CapUserHeader{Version: capabilityVersion3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, fmt.Errorf("reading the capabilities of this process: %w", err)
	}
	set := uint64(data[0].Permitted) | uint64(data[1].Permitted)<<32
	for _, bit := range bits(set) {
		if bounded, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, bit, 0, 0, 0); err == nil && bounded == 0 {
			set &^= 1 << bit
		}
	}
	return set, nil
}

// exact sets the capabilities that executing a program could not.
func exact(c scenario.Capabilities) error {
	granted, err := Granted()
	if err != nil {
		return err
	}
	header := unix.CapUserHeader{Version: capabilityVersion3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	held := uint64(data[0].Permitted) | uint64(data[1].Permitted)<<32
	permitted := c.Permitted & held
	if permitted == held && c.Effective&permitted == uint64(data[0].Effective)|uint64(data[1].Effective)<<32 {
		return nil
	}
	return capset(c.Effective&permitted, permitted, c.Inheritable&granted|uint64(data[0].Inheritable)|uint64(data[1].Inheritable)<<32)
}
