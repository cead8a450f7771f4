// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package trace

import (
	"encoding/binary"
	"math"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/event"
)

// socketDecoders are the calls on sockets.
func socketDecoders() map[event.Type]decoder {
	accepted := param{exit: func(x *decoding, p *event.Param) {
		if p.Null = true; x.c.ret >= 0 {
			var ok bool
			if p.Sock, ok = x.t.tuple(x.th, x.c.ret, true, event.SockAddr{}); !ok && x.t.unknown != event.Known {
				p.Sock, ok = x.acceptedFrom()
			}
			p.Null = !ok
		}
	}}
	queue := func(what func(x *decoding, q acceptQueue) uint32) param {
		return atExit(func(x *decoding) int64 {
			if x.c.ret < 0 {
				return 0
			}
			return int64(what(x, x.t.acceptQueue(x.th, x.c.arg(0))))
		})
	}
	limit := func(x *decoding, q acceptQueue) uint32 {
		x.t.unknown = q.limitUnknown
		return q.limit
	}
	percent := queue(func(x *decoding, q acceptQueue) uint32 {
		if q.unknown == event.Known && q.length == 0 || limit(x, q) == 0 {
			return 0
		}
		return uint32(uint64(q.length) * 100 / uint64(q.limit))
	})
	length := queue(func(x *decoding, q acceptQueue) uint32 {
		x.t.unknown = q.unknown
		return q.length
	})
	// tuple is the socket's ends, when the call succeeded.
	tuple := func(inbound bool, given func(x *decoding) event.SockAddr) param {
		return param{exit: func(x *decoding, p *event.Param) {
			if p.Null = true; x.c.ret >= 0 {
				var sa event.SockAddr
				if given != nil {
					sa = given(x)
				}
				var ok bool
				p.Sock, ok = x.t.tuple(x.th, x.c.arg(0), inbound, sa)
				p.Null = !ok
			}
		}}
	}
	// The peer's address as sendto was given it, and as recvfrom wrote it.
	toAddr := func(x *decoding) event.SockAddr {
		sa, _ := x.t.sockaddr(x.th.tid, x.c.args[4], x.c.args[5])
		return sa
	}
	fromAddr := func(x *decoding) event.SockAddr {
		size, _ := x.t.u32(x.th.tid, x.c.args[5])
		sa, _ := x.t.sockaddr(x.th.tid, x.c.args[4], uint64(size))
		return sa
	}
	msgAddr := func(x *decoding) event.SockAddr {
		m := x.message(x.c.args[1])
		sa, _ := x.t.sockaddr(x.th.tid, m.name, m.nameLen)
		return sa
	}
	moved := func(tuple int, inbound bool) func(x *decoding) {
		return func(x *decoding) {
			if fd := x.c.fd; fd != nil && x.c.ret >= 0 {
				transferred(x, fd, &x.c.params[tuple], inbound)
			}
		}
	}
	given := param{entry: func(x *decoding, p *event.Param) {
		var ok bool
		p.Sock, ok = x.t.sockaddr(x.th.tid, x.c.args[1], x.c.args[2])
		p.Null = !ok
	}}
	acceptedFD := func(x *decoding) {
		p := &x.c.params[1]
		if x.c.ret < 0 || p.Null {
			return // what made it is not known: it is looked at as any other
		}
		fd := &event.FD{Num: x.c.ret, Server: true, Connected: true, Domain: p.Sock.Family}
		if p.Sock.Family != unix.AF_UNIX {
			fd.Proto = unix.IPPROTO_TCP
		}
		setTuple(fd, p.Sock)
		fd.Unknown.Name, fd.Unknown.Local = p.Unknown, p.Unknown
		x.c.fd, x.c.fdNum = x.t.setFD(x.th, fd), fd.Num
	}
	opt := param{exit: func(x *decoding, p *event.Param) {
		size := x.c.args[4]
		if x.c.typ == event.SysGetsockopt {
			n, _ := x.t.u32(x.th.tid, x.c.args[4])
			size = uint64(n)
		}
		x.sockopt(p, x.c.args[1], x.c.args[2], x.c.args[3], size&0xffff)
	}}
	level := flags(1, sockLevel)
	option := flagsOf(1, 2, sockOption)

	return map[event.Type]decoder{
		event.SysSocket: {params: []param{res, flags(0, sockDomain), u32(1), u32(2)}, after: func(x *decoding) {
			if x.c.ret >= 0 {
				fd := &event.FD{Num: x.c.ret}
				newSocket(fd, int(x.c.params[1].Num), int(x.c.arg(1)), int(x.c.arg(2)))
				x.c.fd, x.c.fdNum = x.t.setFD(x.th, fd), fd.Num
			}
		}},
		event.SysSocketpair: {
			params: []param{
				res, atExit(func(x *decoding) int64 { return x.madePair(0) }), atExit(func(x *decoding) int64 { return x.madePair(1) }),
				constant(0), constant(0), flags(0, sockDomain), u32(1), u32(2),
			},
			after: func(x *decoding) {
				if x.c.ret == 0 {
					// Falco takes the second end for the event's descriptor, and
					// neither for connected.
					for _, p := range x.c.params[1:3] {
						x.c.fdNum = p.Num
						if x.c.fd = x.t.fd(x.th, x.c.fdNum); x.c.fd != nil {
							x.c.fd.Connected = false
						}
					}
				}
			},
		},
		event.SysBind: {params: []param{res, given, i32(0)}, after: func(x *decoding) {
			fd, p := x.c.fd, &x.c.params[1]
			switch {
			case x.c.ret < 0 || fd == nil:
			case p.Unknown != event.Known:
				fd.Unknown.Type, fd.Unknown.Name = p.Unknown, p.Unknown // a server's, or not
			case !p.Null:
				rename(x, fd, func() { bindSocket(fd, p.Sock) })
			}
		}},
		event.SysConnect: {
			params: []param{res, {exit: func(x *decoding, p *event.Param) {
				if p.Null = true; x.c.ret == 0 || x.c.ret == -int64(unix.EINPROGRESS) {
					var ok bool
					p.Sock, ok = x.t.tuple(x.th, x.c.arg(0), false, x.c.params[3].Sock)
					p.Null = !ok
				}
			}}, i32(0), given},
			after: func(x *decoding) {
				if fd, p := x.c.fd, &x.c.params[1]; fd != nil && !p.Null {
					connected(x, fd, p.Sock, p.Unknown)
				} else if fd != nil && p.Unknown != event.Known {
					fd.Unknown.Type, fd.Unknown.Name = p.Unknown, p.Unknown
				}
			},
		},
		event.SysListen:      {params: []param{res, i32(0), i32(1)}},
		event.SysAccept:      {params: []param{res, accepted, percent, length, queue(limit)}, after: acceptedFD},
		event.SysAccept4:     {params: []param{res, accepted, percent, length, queue(limit), constant(0)}, after: acceptedFD},
		event.SysShutdown:    {params: []param{res, i32(0), flags(1, shutdownHow)}},
		event.SysGetsockname: {},
		event.SysGetpeername: {},
		event.SysSetsockopt:  {params: []param{res, i32(0), level, option, opt, atExit(func(x *decoding) int64 { return int64(uint16(x.c.args[4])) })}},
		event.SysGetsockopt: {params: []param{res, i32(0), level, option, opt, atExit(func(x *decoding) int64 {
			n, _ := x.t.u32(x.th.tid, x.c.args[4])
			return int64(n)
		})}},

		event.SysSend:     {params: []param{res, writeBuf(1, 2), i32(0), u32(2), tuple(false, nil)}, after: moved(4, false)},
		event.SysSendto:   {params: []param{res, writeBuf(1, 2), i32(0), u32(2), tuple(false, toAddr)}, after: moved(4, false)},
		event.SysRecv:     {params: []param{res, readBuf(1, false), i32(0), u32(2), tuple(true, nil)}, after: moved(4, true)},
		event.SysRecvfrom: {params: []param{res, readBuf(1, true), tuple(true, fromAddr), i32(0), u32(2)}, after: moved(2, true)},
		event.SysSendmsg: {
			params: []param{res, {exit: func(x *decoding, p *event.Param) {
				m := x.message(x.c.args[1])
				n := int64(math.MaxInt32)
				if x.c.ret > 0 {
					n = x.c.ret
				}
				x.vectorData(p, m.iov, m.iovLen, n)
			}}, i32(0), {exit: func(x *decoding, p *event.Param) {
				m := x.message(x.c.args[1])
				p.Num, p.Null = x.vectorSize(m.iov, m.iovLen), !m.ok
			}}, tuple(false, msgAddr)},
			after: moved(4, false),
		},
		event.SysRecvmsg: {
			params: []param{res, atExit(func(x *decoding) int64 { return max(0, x.c.ret) }), {exit: func(x *decoding, p *event.Param) {
				if p.Null = true; x.c.ret >= 0 {
					p.Null = false
					m := x.message(x.c.args[1])
					x.vectorData(p, m.iov, m.iovLen, x.c.ret)
				}
			}}, tuple(true, msgAddr), {exit: func(x *decoding, p *event.Param) {
				if p.Null = true; x.c.ret >= 0 {
					x.control(p, x.message(x.c.args[1]))
				}
			}}, i32(0)},
			after: moved(3, true),
		},
		event.SysSendmmsg: {params: []param{res, i32(0), constant(0), null, null}, after: func(x *decoding) { x.messages(false) }, silent: true},
		event.SysRecvmmsg: {params: []param{res, i32(0), constant(0), null, null, null}, after: func(x *decoding) { x.messages(true) }, silent: true},
	}
}

// madePair reads one of the descriptors of socketpair.
func (x *decoding) madePair(i int) int64 {
	if x.c.ret != 0 {
		return -1
	}
	return x.fdPair(x.c.args[3], i)
}

// message is struct msghdr.
type message struct {
	name, nameLen, iov, iovLen, control, controlLen uint64
	ok                                              bool
}

// messageSize is the size of struct msghdr; struct mmsghdr has a length after
// it.
func (x *decoding) messageSize() uint64 { return x.c.wordSize() * 7 }

func (x *decoding) message(addr uint64) (m message) {
	w := x.c.wordSize()
	b, ok := x.t.bytes(x.th.tid, addr, int(7*w))
	if !ok {
		return m
	}
	word := func(i uint64) uint64 {
		if x.c.compat {
			return uint64(binary.NativeEndian.Uint32(b[i*w:]))
		}
		return binary.NativeEndian.Uint64(b[i*w:])
	}
	return message{word(0), word(1) & 0xffffffff, word(2), word(3), word(4), word(5), true}
}

// control reads ancillary data.
func (x *decoding) control(p *event.Param, m message) {
	p.Null = true
	if m.control == 0 || m.controlLen == 0 || m.controlLen > 0xffff {
		return
	}
	if b, ok := x.t.bytes(x.th.tid, m.control, int(m.controlLen)); ok {
		p.Str, p.Null = string(b), false
	}
}

// messages reports one event for each message that sendmmsg and recvmmsg have
// moved, at most 16 as Falco does, and one for a call that moved none.
func (x *decoding) messages(inbound bool) {
	const maxMessages = 16
	c := x.c
	wanted := x.t.wanted[c.typ]
	if c.ret <= 0 {
		if wanted {
			x.t.report(x.th, c)
		}
		return
	}
	size := (x.messageSize() + 4 + x.c.wordSize() - 1) / x.c.wordSize() * x.c.wordSize()
	count := min(c.ret, maxMessages)
	for i := range uint64(count) {
		addr := c.args[1] + i*size
		m := x.message(addr)
		n, _ := x.t.u32(x.th.tid, addr+x.messageSize())
		given, _ := x.t.sockaddr(x.th.tid, m.name, m.nameLen)
		c.ret = int64(n)
		c.params[0].Num = c.ret
		dataLen := c.ret
		if !inbound && dataLen == 0 {
			dataLen = math.MaxInt32
		}
		c.params[3] = event.Param{}
		x.read(func(x *decoding, p *event.Param) { x.vectorData(p, m.iov, m.iovLen, dataLen) }, &c.params[3])
		c.params[4] = event.Param{}
		x.read(func(x *decoding, p *event.Param) {
			var ok bool
			p.Sock, ok = x.t.tuple(x.th, c.arg(0), inbound, given)
			p.Null = !ok
		}, &c.params[4])
		if inbound {
			c.params[2].Num = int64(n)
			c.params[5] = event.Param{}
			x.read(func(x *decoding, p *event.Param) { x.control(p, m) }, &c.params[5])
		} else {
			c.params[2].Num = x.vectorSize(m.iov, m.iovLen)
		}
		c.nameChanged = false
		if c.fd != nil {
			transferred(x, c.fd, &c.params[4], inbound)
		}
		if wanted {
			x.t.report(x.th, c)
		}
	}
}

// sockopt reads the value of a socket option, in the type that it has.
func (x *decoding) sockopt(p *event.Param, level, option, addr, size uint64) {
	bytes := func() {
		p.Dyn = event.SockoptBytes
		if b, ok := x.t.bytes(x.th.tid, addr, int(size)); ok {
			p.Str = string(b)
		}
	}
	if int32(level) != unix.SOL_SOCKET {
		bytes()
		return
	}
	switch int32(option) {
	case unix.SO_ERROR:
		n, _ := x.t.u32(x.th.tid, addr)
		p.Dyn, p.Num = event.SockoptErrno, -int64(int32(n))
	case unix.SO_RCVTIMEO, unix.SO_RCVTIMEO_NEW, unix.SO_SNDTIMEO, unix.SO_SNDTIMEO_NEW:
		sec, _ := x.t.u64(x.th.tid, addr)
		usec, _ := x.t.u64(x.th.tid, addr+8)
		p.Dyn, p.Num = event.SockoptTimeval, int64(sec)*1e9+int64(usec)*1e3
	case unix.SO_COOKIE:
		n, _ := x.t.u64(x.th.tid, addr)
		p.Dyn, p.Num = event.SockoptUint64, int64(n)
	case unix.SO_LINGER, unix.SO_PEERCRED, unix.SO_ATTACH_FILTER, unix.SO_PEERNAME, unix.SO_ATTACH_BPF,
		unix.SO_PEERGROUPS, unix.SO_MEMINFO:
		bytes()
	default:
		if sockOptions[uint64(uint32(option))] == 0 {
			bytes()
			return
		}
		n, _ := x.t.u32(x.th.tid, addr)
		p.Dyn, p.Num = event.SockoptUint32, int64(n)
	}
}

// acceptedFrom is the tuple of a connection that was accepted, by what the call
// told of the peer and the calls before it of the socket that listens.
func (x *decoding) acceptedFrom() (event.SockAddr, bool) {
	listener := x.t.fd(x.th, x.c.arg(0))
	if x.t.ways&FollowCalls == 0 || listener == nil || listener.Domain == 0 || listener.Unknown.Type != event.Known {
		return event.SockAddr{}, false
	}
	x.t.unknown = event.Known
	size, _ := x.t.u32(x.th.tid, x.c.args[2])
	peer, ok := x.t.sockaddr(x.th.tid, x.c.args[1], uint64(size))
	if !ok && listener.Domain != unix.AF_UNIX {
		x.t.unknown = event.UnknownSocket
		return event.SockAddr{}, false
	}
	info := recordedSocket(listener)
	info.remote, info.hasRemote = peer, true
	return info.tuple(x.t, true, event.SockAddr{})
}

// acceptQueue is how many connections wait at a listening socket, and how many
// may.
type acceptQueue struct {
	length, limit         uint32
	unknown, limitUnknown event.Unknown
}

func (t *tracer) acceptQueue(th *thread, num int64) (q acceptQueue) {
	if t.ways&PidfdGetfd != 0 {
		fd, err := openSocket(th.proc.PID, num)
		if err == nil {
			defer unix.Close(fd)
			// For a listening socket these two hold the queue, as ss(8) shows it.
			if info, err := unix.GetsockoptTCPInfo(fd, unix.SOL_TCP, unix.TCP_INFO); err == nil {
				q.length, q.limit = info.Unacked, info.Sacked
			}
			return q
		}
		if !forbidden(err) && err != unix.ENOSYS {
			return q
		}
	}
	q.unknown, q.limitUnknown = event.UnknownSocket, event.UnknownSocket
	if t.ways&ProcNet != 0 {
		if info, err := t.findSocket(th, num); err == nil {
			q.length, q.unknown = info.received, event.Known
			if info.domain == unix.AF_UNIX {
				q.length, q.limitUnknown = 0, event.Known
			}
		}
	}
	return q
}
