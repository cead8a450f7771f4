// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/scenario"
)

// call makes a system call.
func (pl *player) call(s *scenario.Step) error {
	known := scenario.SyscallByName(s.Call.Name)
	if known == nil {
		return fmt.Errorf("there is no system call %s", s.Call.Name)
	}
	var ret int64
	var err error
	switch {
	case known.Child:
		ret, err = pl.execute(s.Call)
	case known.Name == "fork", known.Name == "clone", known.Name == "clone3":
		ret, err = pl.fork(s)
	case known.Name == "capget", known.Name == "capset":
		ret, err = pl.capabilities(s)
	default:
		ret, err = pl.raw(known, s)
	}
	var errno unix.Errno
	switch {
	case err != nil && !errors.As(err, &errno):
		return err
	case known.Name == "ptrace" && errno == unix.EPERM && s.ExpectError == "" && pl.marks != 0:
		// Whoever judges traces the process already. The call was made, at any rate.
	case err != nil && (s.ExpectError == "" || errno == unix.ENOSYS && s.ExpectError != "ENOSYS"):
		return named(s.Call.Name, errno)
	case s.ExpectError != "" && err == nil:
		return fmt.Errorf("%s: it succeeded, and must fail with %s", s.Call.Name, s.ExpectError)
	case s.ExpectError != "" && unix.ErrnoName(errno) != s.ExpectError:
		return fmt.Errorf("%s: it failed with %s, and must fail with %s", s.Call.Name, unix.ErrnoName(errno), s.ExpectError)
	}
	pl.expose(s.Name, "ret", ret)
	return nil
}

// raw makes a call of this thread, with its arguments in the kernel's order.
func (pl *player) raw(known *scenario.Syscall, s *scenario.Step) (int64, error) {
	var raw []uintptr
	hold := func(b []byte) *byte { // Go's collector does not move it
		if len(b) == 0 {
			b = []byte{0}
		}
		pl.keep = append(pl.keep, b)
		return &b[0]
	}
	bytesArg := func(b []byte) uintptr { return uintptr(unsafe.Pointer(hold(b))) }
	length := 0 // of the last buffer
	buffers := map[string][]byte{}
	var pair []byte
	for i := range known.Args {
		a := &known.Args[i]
		value, given, err := pl.value(s, a.Name)
		if err != nil {
			return 0, err
		}
		number, _ := value.(int64)
		str, isText := value.(string)
		if isText && (a.Kind == scenario.Number || a.Kind == scenario.FD || a.Kind == scenario.Length) {
			return 0, fmt.Errorf("the argument %s is the text %q, and must be a number", a.Name, str)
		}
		if given && !isText {
			str = strconv.FormatInt(number, 10)
		}
		if given {
			pl.expose(s.Name, a.Name, value)
		}
		switch a.Kind {
		case scenario.Number, scenario.FD:
			if !given {
				number = a.Default
				pl.expose(s.Name, a.Name, number)
			}
			raw = append(raw, uintptr(number))
		case scenario.Path, scenario.Text:
			if !given {
				pl.expose(s.Name, a.Name, str)
			}
			if !given && a.Kind == scenario.Text {
				raw = append(raw, 0)
				break
			}
			raw = append(raw, bytesArg(append([]byte(str), 0)))
		case scenario.Buffer:
			b := []byte(str)
			if n, ok, err := pl.lengthAfter(known, i, s); err != nil {
				return 0, err
			} else if ok && n > len(b) {
				b = append(b, make([]byte, n-len(b))...)
			}
			if !given && len(b) == 0 {
				raw = append(raw, 0)
			} else {
				raw = append(raw, bytesArg(b))
			}
			length, buffers[a.Name] = len(b), b
		case scenario.Length:
			if !given || number == 0 {
				number = int64(length)
			}
			raw = append(raw, uintptr(number))
			pl.expose(s.Name, a.Name, number)
		case scenario.Vector:
			b := []byte(str)
			buffers[a.Name] = b
			vector := &unix.Iovec{Base: hold(b)}
			vector.SetLen(len(b))
			pl.keep = append(pl.keep, vector)
			raw = append(raw, uintptr(unsafe.Pointer(vector)), 1)
		case scenario.Message:
			b := []byte(str)
			buffers[a.Name] = b
			vector := &unix.Iovec{Base: hold(b)}
			vector.SetLen(len(b))
			header := &unix.Msghdr{Iov: vector}
			header.SetIovlen(1)
			pl.keep = append(pl.keep, vector, header)
			raw = append(raw, uintptr(unsafe.Pointer(header)))
		case scenario.Address:
			if !given {
				raw = append(raw, 0, 0)
				break
			}
			b, ok := value.([]byte)
			if !ok {
				return 0, fmt.Errorf("the argument %s is %q, and must be a socket address", a.Name, str)
			}
			raw = append(raw, bytesArg(b), uintptr(len(b)))
		case scenario.How, scenario.Limit:
			b, err := pl.parts(s, a)
			if err != nil {
				return 0, err
			}
			raw = append(raw, bytesArg(b))
			if a.Kind == scenario.How {
				raw = append(raw, uintptr(len(b)))
			}
		case scenario.Groups:
			groups := make([]uint32, len(s.Call.Args[a.Name].List))
			for i, text := range s.Call.Args[a.Name].List {
				id, err := strconv.ParseUint(text, 0, 32)
				if err != nil {
					return 0, fmt.Errorf("the group %q is no number", text)
				}
				groups[i] = uint32(id)
			}
			pl.keep = append(pl.keep, groups)
			raw = append(raw, uintptr(len(groups)), uintptr(unsafe.Pointer(unsafe.SliceData(groups))))
		case scenario.Out:
			raw = append(raw, bytesArg(make([]byte, a.Size)))
		case scenario.Pair:
			pair = make([]byte, 8)
			raw = append(raw, bytesArg(pair))
		default:
			raw = append(raw, 0)
		}
		if a.Name == "size" && a.Kind == scenario.Number && a.Optional && !given && i > 0 && known.Args[i-1].Kind == scenario.Out {
			raw[len(raw)-1] = uintptr(known.Args[i-1].Size)
		}
	}
	var args [6]uintptr
	copy(args[:], raw)
	ret, _, errno := unix.Syscall6(uintptr(s.Call.Number), args[0], args[1], args[2], args[3], args[4], args[5])
	runtime.KeepAlive(pl.keep)
	for name, b := range buffers { // with what the kernel has written
		pl.expose(s.Name, name, string(b))
	}
	if errno != 0 {
		return 0, errno
	}
	if pair != nil {
		pl.expose(s.Name, "readFd", int64(binary.NativeEndian.Uint32(pair)))
		pl.expose(s.Name, "writeFd", int64(binary.NativeEndian.Uint32(pair[4:])))
	}
	return int64(ret), nil
}

// number is what an argument of a number was given, or its default.
func (pl *player) number(s *scenario.Step, name string, fallback int64) (int64, error) {
	value, given, err := pl.value(s, name)
	n, isNumber := value.(int64)
	switch {
	case err != nil || !given:
		return fallback, err
	case !isNumber:
		return 0, fmt.Errorf("the argument %s is the text %q, and must be a number", name, value)
	}
	pl.expose(s.Name, name, n)
	return n, nil
}

// fork makes a process that ends at once: one of a program with threads can do
// no more.
func (pl *player) fork(s *scenario.Step) (int64, error) {
	flags, err := pl.number(s, "flags", 0)
	if err != nil {
		return 0, err
	}
	if s.Call.Name != "fork" {
		for _, name := range scenario.Constants("fork") {
			known, _ := (&scenario.Arg{Set: "fork"}).ParseNumber(name)
			flags &^= known
		}
		if flags != 0 {
			return 0, fmt.Errorf("%s: a test cannot make a process with the flags %#x, which shares more with its parent", s.Call.Name, flags)
		}
		flags, _ = pl.number(s, "flags", 0)
	}
	args := [2]uintptr{uintptr(flags) | uintptr(unix.SIGCHLD), 0}
	switch s.Call.Name {
	case "fork":
		args[0] = 0
	case "clone3":
		more := &cloneArgs{flags: uint64(flags), exitSignal: uint64(unix.SIGCHLD)}
		pl.keep = append(pl.keep, more)
		args = [2]uintptr{uintptr(unsafe.Pointer(more)), unsafe.Sizeof(*more)}
	}
	pid, errno := forked(uintptr(s.Call.Number), args[0], args[1])
	if errno != 0 {
		return 0, errno
	}
	pl.marks.Aside(func() {
		err = retry(func() error { _, err := unix.Wait4(int(pid), nil, 0, nil); return err })
	})
	return int64(pid), err
}

// cloneArgs is struct clone_args of linux/sched.h, as long as it was at first.
type cloneArgs struct {
	flags, pidfd, childTID, parentTID, exitSignal, stack, stackSize, tls uint64
}

// forked makes a system call that returns twice. The child, which is a copy of
// this thread alone, calls nothing but exit_group.
//
//go:norace
//go:nosplit
func forked(nr, a, b uintptr) (uintptr, unix.Errno) {
	pid, _, errno := unix.RawSyscall6(nr, a, b, 0, 0, 0, 0)
	if errno == 0 && pid == 0 {
		for {
			unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
		}
	}
	return pid, errno
}

// capabilities reads or sets those of this thread. What is not given stays.
func (pl *player) capabilities(s *scenario.Step) (int64, error) {
	header := unix.CapUserHeader{Version: capabilityVersion3}
	var data [2]unix.CapUserData
	get := func() error { return unix.Capget(&header, &data[0]) }
	if s.Call.Name == "capget" {
		return 0, get()
	}
	var err error
	pl.marks.Aside(func() { err = get() })
	if err != nil {
		return 0, err
	}
	sets := [3]int64{}
	for i, name := range []string{"effective", "permitted", "inheritable"} {
		held := [3][2]uint32{{data[0].Effective, data[1].Effective}, {data[0].Permitted, data[1].Permitted}, {data[0].Inheritable, data[1].Inheritable}}[i]
		if sets[i], err = pl.number(s, name, int64(held[0])|int64(held[1])<<32); err != nil {
			return 0, err
		}
	}
	return 0, capset(uint64(sets[0]), uint64(sets[1]), uint64(sets[2]))
}

// value is what an argument was given, as a number or a text.
func (pl *player) value(s *scenario.Step, name string) (value any, given bool, err error) {
	v, ok := s.Call.Args[name]
	switch {
	case !ok:
		return nil, false, nil
	case v.Binding != "":
		value, err := pl.bound(v.Binding)
		return value, err == nil, err
	case v.Number != nil:
		return *v.Number, true, nil
	case v.Address != nil:
		return v.Address, true, nil
	case v.Text != nil:
		return *v.Text, true, nil
	}
	return "", true, nil
}

// lengthAfter is the length that is given for a buffer.
func (pl *player) lengthAfter(known *scenario.Syscall, i int, s *scenario.Step) (int, bool, error) {
	if i+1 >= len(known.Args) || known.Args[i+1].Kind != scenario.Length {
		return 0, false, nil
	}
	v, given, err := pl.value(s, known.Args[i+1].Name)
	n, _ := v.(int64)
	if n < 0 || n > scenario.MaxBuffer {
		return 0, false, fmt.Errorf("the length %d is not from 0 to %d", n, scenario.MaxBuffer)
	}
	return int(n), given, err
}

// parts is struct open_how or struct rlimit.
func (pl *player) parts(s *scenario.Step, a *scenario.Arg) ([]byte, error) {
	names := []string{"flags", "mode", "resolve"}
	if a.Kind == scenario.Limit {
		names = []string{"cur", "max"}
	}
	var b []byte
	for _, part := range names {
		v, _, err := pl.value(s, a.Name+"."+part)
		if err != nil {
			return nil, err
		}
		n, _ := v.(int64)
		pl.expose(s.Name, a.Name+"."+part, n)
		b = binary.NativeEndian.AppendUint64(b, uint64(n))
	}
	return b, nil
}

// execute makes the calls that replace a process, in one of its own.
func (pl *player) execute(c *scenario.Call) (int64, error) {
	text := func(name string) string {
		if v := c.Args[name]; v.Text != nil {
			return *v.Text
		}
		return ""
	}
	path := text("pathname")
	argv := c.Args["argv"].List
	if len(argv) == 0 {
		argv = []string{path}
	}
	env := c.Args["envp"].List
	if env == nil {
		env = inherited()
	}
	var null *os.File
	var err error
	pl.marks.Aside(func() { null, err = os.Open(os.DevNull) })
	if err != nil {
		return 0, err
	}
	defer pl.marks.Aside(func() { null.Close() })
	proc, err := os.StartProcess(path, argv, &os.ProcAttr{Env: env, Files: []*os.File{null, os.Stderr, os.Stderr}})
	if err != nil {
		var errno unix.Errno
		if errors.As(err, &errno) {
			return 0, errno
		}
		return 0, err
	}
	pid := proc.Pid
	pl.marks.Aside(func() { _, err = proc.Wait() })
	return int64(pid), err
}
