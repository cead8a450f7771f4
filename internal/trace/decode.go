// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package trace

import (
	"encoding/binary"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/event"
)

// decoder tells how to make an event of a call.
type decoder struct {
	params []param           // in the order of the event's definition
	enter  func(x *decoding) // besides the parameters, at the entry
	after  func(x *decoding) // after the parameters, at the exit: brings the state up to date
	silent bool              // after reports the events itself
}

// param tells how to read one parameter, when the call is entered (what the
// kernel reads from the caller's memory) or when it returns (the rest).
type param struct {
	entry, exit func(x *decoding, p *event.Param)
}

// decoders are the decoders of all calls with parameters, by event type.
var decoders = func() (all [event.NumTypes]decoder) {
	for _, group := range []map[event.Type]decoder{
		fileDecoders(), ioDecoders(), socketDecoders(), processDecoders(), otherDecoders(),
	} {
		for typ, d := range group {
			all[typ] = d
		}
	}
	return all
}()

func atExit(f func(x *decoding) int64) param {
	return param{exit: func(x *decoding, p *event.Param) { p.Num = f(x) }}
}

// res is the call's result.
var res = atExit(func(x *decoding) int64 { return x.c.ret })

// res32 is the result of a call that returns an int.
var res32 = atExit(func(x *decoding) int64 { return int64(int32(x.c.ret)) })

func constant(n int64) param { return atExit(func(*decoding) int64 { return n }) }

// i32, u32 and u64 are arguments as they are.
func i32(n int) param { return atExit(func(x *decoding) int64 { return x.c.arg(n) }) }
func u32(n int) param { return atExit(func(x *decoding) int64 { return int64(uint32(x.c.args[n])) }) }
func u64(n int) param { return atExit(func(x *decoding) int64 { return int64(x.c.args[n]) }) }

// u8 is the low byte of an argument.
func u8(n int) param { return atExit(func(x *decoding) int64 { return int64(uint8(x.c.args[n])) }) }

// flags is an argument in another encoding.
func flags(n int, convert func(uint64) uint32) param {
	return atExit(func(x *decoding) int64 { return int64(convert(x.c.args[n])) })
}

// str is an argument that points to a string.
func str(n int) param {
	return param{entry: func(x *decoding, p *event.Param) { x.readString(p, x.c.args[n]) }}
}

// path is a path argument, relative to the current directory.
func path(n int) param {
	return param{entry: func(x *decoding, p *event.Param) {
		if x.readString(p, x.c.args[n]) {
			x.resolve(p, atFDCWD)
		}
	}}
}

// pathAt is a path argument, relative to the directory that another argument
// names.
func pathAt(n, dirfd int) param {
	return param{entry: func(x *decoding, p *event.Param) {
		if x.readString(p, x.c.args[n]) {
			x.resolve(p, x.c.arg(dirfd))
		}
	}}
}

// resolve makes a path absolute, which is not possible when it is relative to
// a directory whose name is not known.
func (x *decoding) resolve(p *event.Param, dirfd int64) {
	dir := ""
	if p.Str != "" && p.Str[0] != '/' {
		dir, x.t.unknown = x.t.dirName(x.th, dirfd)
	}
	p.Path = x.t.absolute(dir, p.Str)
}

// readString fills a parameter with a string from the caller's memory.
func (x *decoding) readString(p *event.Param, addr uint64) bool {
	s, ok := x.t.cString(x.th.tid, addr, maxPath)
	p.Str, p.Null = s, !ok
	return ok
}

// null is a parameter without a value.
var null = param{exit: func(_ *decoding, p *event.Param) { p.Null = true }}

// readBuf is the data that a call has read, when it has read any.
func readBuf(n int, zeroToo bool) param {
	return param{exit: func(x *decoding, p *event.Param) {
		if x.c.ret < 0 || x.c.ret == 0 && !zeroToo {
			p.Null = true
			return
		}
		x.data(p, x.c.args[n], x.c.ret)
	}}
}

// writeBuf is the data that a call has written, or when it failed, was given.
func writeBuf(n, size int) param {
	return param{exit: func(x *decoding, p *event.Param) {
		length := int64(uint32(x.c.args[size]))
		if x.c.ret > 0 {
			length = x.c.ret
		}
		x.data(p, x.c.args[n], length)
	}}
}

// data reads at most the snapshot's length of data.
func (x *decoding) data(p *event.Param, addr uint64, length int64) {
	n := int(min(length, int64(x.t.opts.SnapLen)))
	if n <= 0 {
		p.Null = true
		return
	}
	b, ok := x.t.bytes(x.th.tid, addr, n)
	if !ok {
		p.Null = true
		return
	}
	p.Str = string(b)
}

const maxVectors = 32 // how many of an iovec Falco looks at

// vectors reads an iovec array.
func (x *decoding) vectors(addr, count uint64) (iov [maxVectors]struct{ base, size uint64 }, n int, ok bool) {
	n = int(min(count, maxVectors))
	w := x.c.wordSize()
	b, ok := x.t.bytes(x.th.tid, addr, n*2*int(w))
	if !ok {
		return iov, 0, false
	}
	for i := range n {
		e := b[uint64(i)*2*w:]
		if x.c.compat {
			iov[i].base, iov[i].size = uint64(binary.NativeEndian.Uint32(e)), uint64(binary.NativeEndian.Uint32(e[4:]))
		} else {
			iov[i].base, iov[i].size = binary.NativeEndian.Uint64(e), binary.NativeEndian.Uint64(e[8:])
		}
	}
	return iov, n, true
}

// vectorData reads the data of an iovec, at most limit bytes.
func (x *decoding) vectorData(p *event.Param, addr, count uint64, limit int64) {
	limit = min(limit, int64(x.t.opts.SnapLen))
	iov, n, ok := x.vectors(addr, count)
	if !ok {
		p.Null = true
		return
	}
	var out []byte
	for i := 0; i < n && int64(len(out)) < limit; i++ {
		size := min(iov[i].size, uint64(limit)-uint64(len(out)))
		b, _ := x.t.bytes(x.th.tid, iov[i].base, int(size))
		out = append(out, b...)
		if uint64(len(b)) < size {
			break
		}
	}
	p.Str, p.Null = string(out), len(out) == 0
}

// vectorSize is the length of all data of an iovec.
func (x *decoding) vectorSize(addr, count uint64) int64 {
	iov, n, ok := x.vectors(addr, count)
	if !ok {
		return 0
	}
	var total uint32
	for i := range n {
		total += uint32(iov[i].size)
	}
	return int64(total)
}

// timespec reads a time as nanoseconds.
func (x *decoding) timespec(addr uint64) int64 {
	if x.c.compat {
		sec, _ := x.t.u32(x.th.tid, addr)
		nsec, _ := x.t.u32(x.th.tid, addr+4)
		return int64(int32(sec))*1e9 + int64(nsec)
	}
	sec, _ := x.t.u64(x.th.tid, addr)
	nsec, _ := x.t.u64(x.th.tid, addr+8)
	return int64(sec)*1e9 + int64(nsec)
}

// fileDecoders are the calls about names and attributes of files.
func fileDecoders() map[event.Type]decoder {
	dir := i32
	return map[event.Type]decoder{
		event.SysStat:       {params: []param{res, path(0)}},
		event.SysLstat:      {params: []param{res, path(0)}},
		event.SysStat64:     {params: []param{res, path(0)}},
		event.SysLstat64:    {params: []param{res, path(0)}},
		event.SysFstat:      {params: []param{res, i32(0)}},
		event.SysFstat64:    {params: []param{res}},
		event.SysNewfstatat: {params: []param{res, dir(0), pathAt(1, 0), flags(3, statFlags)}},
		event.SysAccess:     {params: []param{res, path(0), flags(1, accessFlags)}},
		event.SysMkdir:      {params: []param{res, path(0), u32(1)}},
		event.SysMkdirat:    {params: []param{res, dir(0), pathAt(1, 0), u32(2)}},
		event.SysRmdir:      {params: []param{res, path(0)}},
		event.SysUnlink:     {params: []param{res, path(0)}},
		event.SysUnlinkat:   {params: []param{res, dir(0), pathAt(1, 0), flags(2, unlinkFlags)}},
		event.SysRename:     {params: []param{res, path(0), path(1)}},
		event.SysRenameat:   {params: []param{res, dir(0), pathAt(1, 0), dir(2), pathAt(3, 2)}},
		event.SysRenameat2:  {params: []param{res, dir(0), pathAt(1, 0), dir(2), pathAt(3, 2), u32(4)}},
		event.SysLink:       {params: []param{res, path(0), path(1)}},
		event.SysLinkat:     {params: []param{res, dir(0), pathAt(1, 0), dir(2), pathAt(3, 2), flags(4, linkFlags)}},
		event.SysSymlink:    {params: []param{res, str(0), path(1)}},
		event.SysSymlinkat:  {params: []param{res, str(0), dir(1), pathAt(2, 1)}},
		event.SysChmod:      {params: []param{res, path(0), flags(1, modeBits)}},
		event.SysFchmod:     {params: []param{res, i32(0), flags(1, modeBits)}},
		event.SysFchmodat:   {params: []param{res, dir(0), pathAt(1, 0), flags(2, modeBits)}},
		event.SysChown:      {params: []param{res, path(0), u32(1), u32(2)}},
		event.SysLchown:     {params: []param{res, path(0), u32(1), u32(2)}},
		event.SysFchown:     {params: []param{res, i32(0), u32(1), u32(2)}},
		event.SysFchownat:   {params: []param{res, dir(0), pathAt(1, 0), u32(2), u32(3), flags(4, linkFlags)}},
		event.SysMknod:      {params: []param{res, path(0), flags(1, mknodMode), flags(2, mknodDev)}},
		event.SysMknodat:    {params: []param{res, dir(0), pathAt(1, 0), flags(2, mknodMode), flags(3, mknodDev)}},
		event.SysMount:      {params: []param{res, str(0), path(1), str(2), flags(3, mountFlags)}},
		event.SysUmount:     {params: []param{res, path(0)}},
		event.SysUmount2:    {params: []param{res, path(0), flags(1, umountFlags)}},
		event.SysChroot: {params: []param{res, path(0)}, after: func(x *decoding) {
			if p := &x.c.params[1]; x.c.ret == 0 {
				x.th.proc.Root, x.th.proc.Unknown.Root = p.Path, p.Unknown
			}
		}},
		event.SysChdir: {params: []param{res, str(0)}, after: func(x *decoding) {
			if p := &x.c.params[1]; x.c.ret == 0 && (!p.Null || p.Unknown != event.Known) {
				x.cwdIs(p.Str, p.Unknown)
			}
		}},
		event.SysFchdir: {params: []param{res, i32(0)}, after: func(x *decoding) {
			if fd := x.c.fd; x.c.ret == 0 && fd != nil && (fd.Name != "" || fd.Unknown.Name != event.Known) {
				x.cwdIs(fd.Name, fd.Unknown.Name)
			}
		}},
		event.SysGetcwd: {params: []param{res, {exit: func(x *decoding, p *event.Param) {
			if p.Null = true; x.c.ret >= 0 {
				x.readString(p, x.c.args[0])
			}
		}}}, after: func(x *decoding) {
			if p := &x.c.params[1]; !p.Null && p.Unknown == event.Known {
				x.cwdIs(p.Str, event.Known)
			}
		}},
		event.SysQuotactl: quotactl(),

		event.SysOpen: {
			params: []param{res, path(0), openedFlags, flagsOf(1, 2, openMode), openedDev, openedIno},
			enter:  func(x *decoding) { x.enterOpen(x.c.args[1], 1, atFDCWD) },
			after:  func(x *decoding) { x.opened(1, 2) },
		},
		event.SysCreat: {
			params: []param{res, path(0), {exit: func(x *decoding, p *event.Param) {
				p.Num = int64(openMode(unix.O_CREAT, x.c.args[1]))
			}}, openedDev, openedIno, creatLayer},
			after: func(x *decoding) { x.opened(1, -1) },
		},
		event.SysOpenat: {
			params: []param{res, dir(0), pathAt(1, 0), openedFlags, flagsOf(2, 3, openMode), openedDev, openedIno},
			enter:  func(x *decoding) { x.enterOpen(x.c.args[2], 2, x.c.arg(0)) },
			after:  func(x *decoding) { x.opened(2, 3) },
		},
		event.SysOpenat2: {
			params: []param{res, dir(0), pathAt(1, 0), openedFlags, {exit: func(x *decoding, p *event.Param) {
				p.Num = int64(openMode(x.c.open.flags, x.c.open.mode))
				x.t.unknown = x.c.unknown
			}}, {exit: func(x *decoding, p *event.Param) {
				p.Num = int64(resolveFlags(x.c.open.resolve))
				x.t.unknown = x.c.unknown
			}}, openedDev, openedIno},
			enter: func(x *decoding) {
				how := x.c.args[2]
				flags, _ := x.t.u64(x.th.tid, how)
				mode, _ := x.t.u64(x.th.tid, how+8)
				resolve, _ := x.t.u64(x.th.tid, how+16)
				x.enterOpen(flags, 2, x.c.arg(0))
				x.c.open.mode, x.c.open.resolve = mode, resolve
			},
			after: func(x *decoding) { x.opened(2, 3) },
		},
		event.SysOpenByHandleAt: {
			params: []param{res, dir(0), openedFlags, {exit: func(x *decoding, p *event.Param) {
				if p.Null = true; x.c.ret > 0 {
					link, err := x.t.readLink(x.th.TID, "fd/"+itoa(x.c.ret))
					if link != "" {
						p.Str, p.Path, p.Null = link, link, false
					} else if forbidden(err) {
						x.t.unknown = event.UnknownProc
					}
				}
			}}, openedDev, openedIno},
			enter: func(x *decoding) { x.c.open.flags = x.c.args[2] },
			after: func(x *decoding) { x.opened(3, 2) },
		},
	}
}

// cwdIs notes that the working directory is another one now. Where its name is
// not known, /proc may know it.
func (x *decoding) cwdIs(name string, unknown event.Unknown) {
	p := x.th.proc
	if unknown != event.Known {
		x.t.readCwd(p)
		return
	}
	if strings.HasPrefix(name, "/") {
		p.Unknown.Cwd = event.Known
	}
	p.Cwd = x.t.absolute(p.Cwd, name)
}

// opening is what is known of a call that opens a file.
type opening struct {
	flags, mode, resolve uint64
	absent               bool // the file did not exist before, and the call may make it
	stat                 unix.Stat_t
	statOK               bool
	upper, lower         bool
	unknown              event.Unknown // why that of the file, or its layer, is not known
}

// enterOpen notes whether the call would make the file: later it is too late
// to tell, and the kernel does not say.
func (x *decoding) enterOpen(flags uint64, name int, dirfd int64) {
	o := &x.c.open
	o.flags = flags
	p := &x.c.params[name]
	if flags&unix.O_CREAT == 0 || p.Unknown == event.Known && (p.Null || p.Str == "") {
		return
	}
	if flags&unix.O_EXCL != 0 {
		o.absent = true // else it fails
		return
	}
	if p.Unknown != event.Known {
		x.t.unknown = p.Unknown
		return
	}
	base := "root"
	if p.Str[0] != '/' {
		if base = "cwd"; dirfd != atFDCWD {
			base = "fd/" + itoa(dirfd)
		}
	}
	file := string(x.t.procPath(x.th.TID, base)) + "/" + p.Str
	var st unix.Stat_t
	err := unix.Stat(file, &st)
	o.absent = err == unix.ENOENT
	if forbidden(err) {
		x.t.unknown = event.UnknownProc
	}
}

// openedFile reads what the new descriptor is of, once. Falco does not look at
// descriptor 0.
func (x *decoding) openedFile() *opening {
	o := &x.c.open
	if o.statOK || x.c.ret <= 0 {
		return o
	}
	link := x.t.fdPath(x.th.TID, x.c.ret)
	err := unix.Stat(link, &o.stat)
	if o.statOK = err == nil; o.statOK {
		dev := uint64(o.stat.Dev)
		if overlay, known := x.t.overlays[dev]; !known || overlay {
			name, _ := x.t.readLink(x.th.TID, "fd/"+itoa(x.c.ret))
			o.upper, o.lower, o.unknown = x.t.overlayLayer(x.th.proc.PID, link, name, &o.stat)
		}
	} else if forbidden(err) {
		o.unknown = event.UnknownProc
	}
	return o
}

// fileUnknown is why the number of an opened file is not known.
func (x *decoding) fileUnknown() {
	if o := x.openedFile(); !o.statOK {
		x.t.unknown = o.unknown
	}
}

var (
	openedFlags = param{exit: func(x *decoding, p *event.Param) {
		o := x.openedFile()
		flags := openFlags(o.flags)
		if x.c.ret > 0 && o.absent {
			flags |= openFCreated
		}
		if o.upper {
			flags |= fdUpperLayer
		}
		if o.lower {
			flags |= fdLowerLayer
		}
		p.Num = int64(flags)
		x.t.unknown = x.c.unknown
	}}
	openedDev = atExit(func(x *decoding) int64 {
		x.fileUnknown()
		return int64(encodeDev(uint64(x.openedFile().stat.Dev)))
	})
	openedIno = atExit(func(x *decoding) int64 {
		x.fileUnknown()
		return int64(x.openedFile().stat.Ino)
	})
	creatLayer = atExit(func(x *decoding) int64 {
		switch o := x.openedFile(); {
		case o.unknown != event.Known:
			x.t.unknown = o.unknown
		case o.upper:
			return 1
		case o.lower:
			return 2
		}
		return 0
	})
)

// flagsOf converts one argument with the help of another.
func flagsOf(first, second int, convert func(a, b uint64) uint32) param {
	return atExit(func(x *decoding) int64 { return int64(convert(x.c.args[first], x.c.args[second])) })
}

// opened records the descriptor that a call has opened, under the name that
// the call gave it.
func (x *decoding) opened(name, flags int) {
	if x.c.ret < 0 {
		return
	}
	p := &x.c.params[name]
	fd := &event.FD{Num: x.c.ret, Type: event.FDFile, Name: p.Path, NameRaw: p.Str}
	if fd.Unknown.Name = p.Unknown; p.Null && p.Unknown == event.Known {
		fd.Name, fd.NameRaw = "<NA>", "<NA>"
	}
	if flags >= 0 {
		fd.Flags = uint32(x.c.params[flags].Num)
	}
	if fd.Flags&openFlags(openDirectory)&^openRDONLY&^openTmpfile != 0 {
		fd.Type = event.FDDirectory
	}
	fd.UpperLayer, fd.LowerLayer, fd.Unknown.Layer = x.c.open.upper, x.c.open.lower, x.c.open.unknown
	if o := &x.c.open; o.statOK {
		fd.Dev, fd.Ino = encodeDev(uint64(o.stat.Dev)), o.stat.Ino
		x.th.proc.FDs[fd.Num] = fd
	} else {
		fd.Unknown.File = o.unknown
		x.t.setFD(x.th, fd)
	}
	x.c.fd, x.c.fdNum = fd, x.c.ret
}

// forbidden tells whether an error says that something may not be looked at,
// rather than that it is not there.
func forbidden(err error) bool { return err == unix.EACCES || err == unix.EPERM }
