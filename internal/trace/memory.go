// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package trace

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/event"
)

const (
	maxPath  = 4096 // of a path, and of all arguments or the environment, as Falco reads them
	pageSize = 4096
)

// read copies from the memory of a stopped thread and returns how many bytes
// could be read before the first that is not there. Where reading itself is
// refused, in every way, it returns none and notes why in t.unknown: that says
// nothing of what is there.
func (t *tracer) read(tid int, addr uint64, buf []byte) int {
	if addr == 0 || len(buf) == 0 {
		return 0
	}
	why := event.UnknownMemory
	for _, w := range [...]struct {
		way  Way
		read func(*tracer, int, uint64, []byte) (int, error)
	}{
		{ProcessVMReadv, (*tracer).processVMReadv},
		{ProcMem, (*tracer).procMem},
		{PeekData, (*tracer).peekData},
	} {
		if t.ways&w.way == 0 {
			continue
		}
		n, err := w.read(t, tid, addr, buf)
		if err == nil {
			return n
		}
		if errors.Is(err, unix.ESRCH) {
			why = event.UnknownGone
		}
	}
	t.unknown = why
	return 0
}

// processVMReadv may sleep, when the tracee has memory that another program
// must bring in, so the scheduler is told.
func (t *tracer) processVMReadv(tid int, addr uint64, buf []byte) (int, error) {
	local := unix.Iovec{Base: &buf[0]}
	local.SetLen(len(buf))
	// The kernel copies whole remote vectors or what comes before a fault, so
	// vectors that end with their page give all that is readable.
	var remote [8]unix.RemoteIovec
	n := 0
	for rest := len(buf); rest > 0 && n < len(remote); n++ {
		size := pageSize - int(addr%pageSize)
		if size > rest || n == len(remote)-1 {
			size = rest
		}
		remote[n] = unix.RemoteIovec{Base: uintptr(addr), Len: size}
		addr += uint64(size)
		rest -= size
	}
	got, _, errno := unix.Syscall6(unix.SYS_PROCESS_VM_READV, uintptr(tid), uintptr(unsafe.Pointer(&local)), 1,
		uintptr(unsafe.Pointer(&remote[0])), uintptr(n), 0)
	switch errno {
	case 0:
		return int(got), nil
	case unix.EFAULT:
		return 0, nil
	}
	return 0, errno
}

// procMem reads /proc/TID/mem, which stays open for the next read: to the same
// memory, even when the thread changes its user.
func (t *tracer) procMem(tid int, addr uint64, buf []byte) (int, error) {
	if t.memTID != tid {
		t.closeMem()
		fd, err := unix.Open(string(t.procPath(int64(tid), "mem")), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return 0, err
		}
		t.memFD, t.memTID = fd, tid
	}
	for {
		n, err := unix.Pread(t.memFD, buf, int64(addr))
		switch {
		case err == unix.EINTR:
		case n > 0 || err == unix.EIO:
			return max(n, 0), nil
		case err == nil: // the memory is no more
			return 0, unix.ESRCH
		default:
			return 0, err
		}
	}
}

// closeMem is for when a thread ends or gets other memory.
func (t *tracer) closeMem() {
	if t.memTID != 0 {
		unix.Close(t.memFD)
		t.memTID = 0
	}
}

// peekData reads a word at a time.
func (t *tracer) peekData(tid int, addr uint64, buf []byte) (int, error) {
	const size = unsafe.Sizeof(uintptr(0))
	have := 0
	for have < len(buf) {
		at := addr + uint64(have)
		word := at &^ uint64(size-1)
		value, err := peek(tid, word)
		if err != nil {
			if have > 0 {
				return have, nil
			}
			return 0, peekError(tid, err)
		}
		var b [size]byte
		binary.NativeEndian.PutUint64(b[:], value)
		have += copy(buf[have:], b[at-word:])
	}
	return have, nil
}

func peek(tid int, addr uint64) (value uint64, err error) {
	err = ptrace(unix.PTRACE_PEEKDATA, tid, uintptr(addr), uintptr(unsafe.Pointer(&value)))
	runtime.KeepAlive(&value)
	return value, err
}

// peekError tells apart memory that is not there and memory that may not be
// read, for which the kernel has the same error: the thread's stack is there.
func peekError(tid int, err error) error {
	if !errors.Is(err, unix.EIO) && !errors.Is(err, unix.EFAULT) {
		return err
	}
	var info syscallInfo
	if err := ptraceSyscallInfo(tid, &info); err != nil {
		return err
	}
	if _, err := peek(tid, info.sp&^7); err != nil {
		return unix.EPERM
	}
	return nil
}

// bytes reads n bytes; ok tells whether all could be read. When not, t.unknown
// tells whether the memory is not there or may not be read.
func (t *tracer) bytes(tid int, addr uint64, n int) (data []byte, ok bool) {
	if n > len(t.buf) {
		n = len(t.buf)
	}
	got := t.read(tid, addr, t.buf[:n])
	return t.buf[:got], got == n && n > 0
}

// cString reads a string that ends in a zero byte, at most limit-1 bytes long.
func (t *tracer) cString(tid int, addr uint64, limit int) (s string, ok bool) {
	if limit > len(t.buf) {
		limit = len(t.buf)
	}
	have := 0
	for have < limit {
		// Most strings are short: begin with little, then take whole pages.
		step := 256
		if have > 0 {
			step = pageSize
		}
		step = min(step, limit-have)
		got := t.read(tid, addr+uint64(have), t.buf[have:have+step])
		if got == 0 {
			break
		}
		if i := bytes.IndexByte(t.buf[have:have+got], 0); i >= 0 {
			return t.intern(t.buf[:have+i]), true
		}
		have += got
		if got < step {
			break
		}
	}
	if have < limit {
		return "", false // it ends in memory that cannot be read
	}
	return t.intern(t.buf[:limit-1]), true
}

// intern returns the bytes as a string, without allocating when the same bytes
// were seen lately: paths and names repeat.
func (t *tracer) intern(b []byte) string {
	if s, ok := t.strings[string(b)]; ok {
		return s
	}
	if len(t.strings) >= 8192 {
		clear(t.strings)
	}
	s := string(b)
	t.strings[s] = s
	return s
}

// word reads a pointer or a size_t, which has 4 bytes in a 32-bit program.
func (c *call) word(t *tracer, tid int, addr uint64) (uint64, bool) {
	if c.compat {
		b, ok := t.bytes(tid, addr, 4)
		if !ok {
			return 0, false
		}
		return uint64(binary.NativeEndian.Uint32(b)), true
	}
	return t.u64(tid, addr)
}

// wordSize is the size of a pointer in the calling program.
func (c *call) wordSize() uint64 {
	if c.compat {
		return 4
	}
	return 8
}

func (t *tracer) u32(tid int, addr uint64) (uint32, bool) {
	var b [4]byte
	if t.read(tid, addr, b[:]) != 4 {
		return 0, false
	}
	return binary.NativeEndian.Uint32(b[:]), true
}

func (t *tracer) u64(tid int, addr uint64) (uint64, bool) {
	var b [8]byte
	if t.read(tid, addr, b[:]) != 8 {
		return 0, false
	}
	return binary.NativeEndian.Uint64(b[:]), true
}

// writeU64 overwrites memory of a stopped thread, read-only memory too.
func writeU64(tid int, addr, value uint64) error {
	return ptrace(unix.PTRACE_POKEDATA, tid, uintptr(addr), uintptr(value))
}
