// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"bytes"
	"net/netip"

	"github.com/falcotest/go-falcotest/internal/event"
)

// The lengths of addresses and pairs of addresses in events: the family, and
// for each end the address and the port.
const (
	addr4Len, addr6Len   = 1 + 4 + 2, 1 + 16 + 2
	tuple4Len, tuple6Len = 1 + 2*(4+2), 1 + 2*(16+2)
	unixTupleHead        = 1 + 8 + 8 // the kernel addresses of both ends, then the path
)

func endpoint4(b []byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b)), le.Uint16(b[4:]))
}

func endpoint6(b []byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b)), le.Uint16(b[16:]))
}

// sockAddr takes an address apart. It is false for one of a length that its
// family does not have.
func sockAddr(b []byte, a *event.SockAddr) bool {
	if len(b) == 0 {
		return false
	}
	a.Family = int32(b[0])
	switch {
	case a.Family == familyUnix:
		a.Path = bytesText(cutNull(b[1:]))
	case a.Family == familyINET && len(b) == addr4Len:
		a.Src = endpoint4(b[1:])
	case a.Family == familyINET6 && len(b) == addr6Len:
		a.Src = endpoint6(b[1:])
	case a.Family == familyINET, a.Family == familyINET6:
		return false
	}
	return true
}

// sockTuple takes a pair of addresses apart.
func sockTuple(b []byte, a *event.SockAddr) bool {
	if len(b) == 0 {
		return false
	}
	a.Family = int32(b[0])
	switch {
	case a.Family == familyUnix && len(b) >= unixTupleHead:
		a.SrcPtr, a.DstPtr = le.Uint64(b[1:]), le.Uint64(b[9:])
		a.Path = bytesText(cutNull(b[unixTupleHead:]))
	case a.Family == familyINET && len(b) == tuple4Len:
		a.Src, a.Dst = endpoint4(b[1:]), endpoint4(b[7:])
	case a.Family == familyINET6 && len(b) == tuple6Len:
		a.Src, a.Dst = endpoint6(b[1:]), endpoint6(b[19:])
	case a.Family == familyINET, a.Family == familyINET6, a.Family == familyUnix:
		return false
	}
	return true
}

func (s *state) socket(c *call) {
	switch c.typ {
	case event.SysSocket:
		if c.ret >= 0 {
			c.fd = c.t.addFD(c.ret, newSocket(c.u32(1), c.u32(2), c.u32(3)))
		}
	case event.SysBind:
		s.bind(c)
	case event.SysConnect:
		s.connect(c)
	case event.SysAccept, event.SysAccept4:
		s.accept(c)
	case event.SysSocketpair:
		s.socketpair(c)
	}
}

const (
	sockStream, sockDgram, sockRaw = 1, 2, 3

	protoIP, protoICMP, protoTCP, protoUDP, protoRaw = 0, 1, 6, 17, 255
)

// newSocket is a socket that is not connected. Falco tells the protocol only of
// the common ones.
func newSocket(domain, typ, proto uint32) *event.FD {
	f := &event.FD{Domain: int32(domain), Proto: event.ProtoUnknown, Proto6: event.ProtoUnknown, NoRole: true}
	switch domain {
	case familyUnix:
		f.Type, f.Sock.Family = event.FDUnix, familyUnix
		return f
	case familyINET:
		f.Type = event.FDIPv4
		f.Sock = event.SockAddr{Family: familyINET, Src: unspecified4, Dst: unspecified4}
	case familyINET6:
		f.Type = event.FDIPv6
		f.Sock = event.SockAddr{Family: familyINET6, Src: unspecified6, Dst: unspecified6}
	case 16:
		f.Type = event.FDNetlink
		return f
	default:
		f.Type = event.FDUnknown
		return f
	}
	raw := typ == sockRaw
	switch {
	case proto == protoIP && typ&0xff == sockStream, proto == protoTCP && !raw:
		f.Proto = event.ProtoTCP
	case proto == protoIP && typ&0xff == sockDgram, proto == protoUDP && !raw:
		f.Proto = event.ProtoUDP
	case proto == protoICMP && !raw:
		f.Proto = event.ProtoICMP
	case proto == protoRaw, raw && (proto == protoTCP || proto == protoUDP || proto == protoICMP):
		f.Proto = event.ProtoRaw
	}
	return f
}

var (
	unspecified4 = netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	unspecified6 = netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
)

func (s *state) bind(c *call) {
	f := c.fd
	var a event.SockAddr
	if f == nil || c.ret < 0 || !sockAddr(c.param(1), &a) {
		return
	}
	if (a.Family == familyINET || a.Family == familyINET6) && a.Src.Port() > 0 {
		if f.Type == event.FDIPv6 {
			f.Proto6 = f.Proto
		}
		f.Type = event.FDIPv4Server
		if a.Family == familyINET6 {
			if isMapped(a.Src.Addr()) && a.Src.Addr().Is4In6() {
				a.Src = unmapPort(a.Src)
				f.Name = event.EndpointText(a.Src)
			} else {
				f.Type = event.FDIPv6Server
			}
		}
		f.Sock = event.SockAddr{Family: a.Family, Src: a.Src}
		f.Server, f.Client, f.NoRole = true, false, false
	}
	f.Name = s.strings.text(event.AddrText(&a))
}

func (s *state) connect(c *call) {
	f := c.fd
	if f == nil || c.ret < 0 && c.ret != inProgress {
		return
	}
	f.Connected = true
	var given event.SockAddr
	before := c.entered()
	haveGiven := before != nil && sockAddr(before.param(1), &given)
	var tuple event.SockAddr
	if !sockTuple(c.param(1), &tuple) {
		if haveGiven {
			s.connectTo(f, &given)
		}
		return
	}
	// What the caller asked for can be told from what the kernel did.
	if haveGiven && given.Family == tuple.Family {
		var exit event.SockAddr
		if sockAddr(c.param(3), &exit) {
			switch {
			case tuple.Family == familyUnix && tuple.Path == exit.Path:
				tuple.Path = given.Path
			case tuple.Family != familyUnix && tuple.Dst == exit.Src:
				tuple.Dst = given.Src
			}
		}
	}
	switch tuple.Family {
	case familyINET, familyINET6:
		changed := s.setTuple(f, &tuple)
		if changed && f.Server && f.Proto == event.ProtoUDP {
			f.Sock.Src, f.Sock.Dst = f.Sock.Dst, f.Sock.Src
		}
		f.Name = s.strings.text(socketName(f))
	default:
		if f.Type != event.FDUnix {
			return
		}
		f.Sock = event.SockAddr{Family: familyUnix, SrcPtr: tuple.SrcPtr, DstPtr: tuple.DstPtr, Path: s.strings.text(tuple.Path)}
		f.Name = s.strings.text(event.TupleText(&tuple))
	}
	if !f.Server && !f.Client {
		f.Client = true
	}
	f.NoRole = false
}

const inProgress = -115

// connectTo is for a connect whose exit does not tell the ends.
func (s *state) connectTo(f *event.FD, to *event.SockAddr) {
	switch to.Family {
	case familyINET, familyINET6:
		dst := to.Src
		typ := event.FDIPv6
		if to.Family == familyINET || isMapped(dst.Addr()) {
			typ, dst = event.FDIPv4, unmapPort(dst)
		}
		retype(f, typ)
		f.Sock.Dst = dst
	default:
		f.Name = s.strings.text(event.AddrText(to))
	}
}

func familyOf(t event.FDType) int32 {
	if t == event.FDIPv6 || t == event.FDIPv6Server {
		return familyINET6
	}
	return familyINET
}

// setTuple notes the ends of a connection, and tells whether they changed. The two
// ends the other way round are no change.
func (s *state) setTuple(f *event.FD, a *event.SockAddr) bool {
	src, dst, typ := a.Src, a.Dst, event.FDIPv4
	if a.Family == familyINET6 {
		if isMapped(src.Addr()) && isMapped(dst.Addr()) {
			src, dst = unmapPort(src), unmapPort(dst)
		} else {
			typ = event.FDIPv6
		}
	}
	retype(f, typ)
	have := &f.Sock
	if have.Src == src && have.Dst == dst || have.Src == dst && have.Dst == src {
		return false
	}
	have.Src, have.Dst = src, dst
	return true
}

// retype makes a descriptor a socket of another type. Falco keeps what it knows of
// sockets of all types at the same place (sinsp_sockinfo), so that a type finds there
// what another has left: to IPv4, the protocol is a byte of the address, and back at
// IPv6 it is what it was.
func retype(f *event.FD, to event.FDType) {
	from := f.Type
	if from == to {
		return
	}
	f.Type = to
	f.Sock.Family = familyOf(to)
	four := from == event.FDIPv4 || from == event.FDIPv4Server
	if from == event.FDIPv6 || from == event.FDIPv6Server {
		f.Proto6 = f.Proto
	}
	switch {
	case to == event.FDIPv6 && (from == event.FDIPv6Server || from == event.FDIPv6), to == event.FDIPv4 && four:
	case to == event.FDIPv4 && f.Sock.Src.IsValid():
		f.Proto = protocol(f.Sock.Src.Addr().As16()[12]) // of the address, which is where it lies
	case to == event.FDIPv6 && four:
		f.Proto = f.Proto6
	default:
		f.Proto = event.ProtoUnknown
	}
	f.Sock.Src, f.Sock.Dst = netip.AddrPort{}, netip.AddrPort{}
}

// socketName is the name of a connection, which Falco gives only to protocols
// that it knows.
func socketName(f *event.FD) string {
	switch {
	case f.Proto == event.ProtoTCP, f.Proto == event.ProtoUDP:
		return event.TupleText(&f.Sock)
	case f.Proto == event.ProtoICMP, f.Proto == event.ProtoRaw && f.Type == event.FDIPv4:
		src, dst := f.Sock.Src.Addr(), f.Sock.Dst.Addr()
		if isMapped(src) && isMapped(dst) {
			src, dst = unmapPort(f.Sock.Src).Addr(), unmapPort(f.Sock.Dst).Addr()
		}
		return src.String() + "->" + dst.String()
	}
	return "<unknown>"
}

func (s *state) accept(c *call) {
	if c.ret < 0 {
		return
	}
	c.t.lastFD = c.ret
	var a event.SockAddr
	if !sockTuple(c.param(1), &a) {
		return
	}
	f := &event.FD{Server: true, Connected: true, Proto: event.ProtoTCP, Proto6: event.ProtoUnknown, Sock: a}
	switch a.Family {
	case familyINET:
		f.Type = event.FDIPv4
	case familyINET6:
		f.Type = event.FDIPv6
		if isMapped(a.Src.Addr()) && isMapped(a.Dst.Addr()) {
			f.Type = event.FDIPv4
			f.Sock = event.SockAddr{Family: familyINET, Src: unmapPort(a.Src), Dst: unmapPort(a.Dst)}
		}
	case familyUnix:
		f.Type, f.Proto = event.FDUnix, event.ProtoUnknown
		f.Sock.Path = s.strings.text(a.Path)
	default:
		return
	}
	f.Name = s.strings.text(event.TupleText(&a))
	c.fd = c.t.addFD(c.ret, f)
}

func (s *state) socketpair(c *call) {
	if c.ret < 0 {
		return
	}
	one, two := c.num(1), c.num(2)
	if one == two {
		c.fd = nil
		return
	}
	f := &event.FD{Type: event.FDUnix, Proto: event.ProtoUnknown, NoRole: true}
	f.Sock = event.SockAddr{Family: familyUnix, SrcPtr: c.u64(3), DstPtr: c.u64(4)}
	other := *f
	c.fd = c.t.addFD(one, f)
	c.t.addFD(two, &other)
}

// tupleParam is the parameter that holds the ends between which data went.
var tupleParam = [event.NumTypes]int8{
	event.SysRecvfrom: 2, event.SysRecvmsg: 3, event.SysRecvmmsg: 4, event.SysRecv: 4,
	event.SysSend: 4, event.SysSendto: 4, event.SysSendmsg: 4, event.SysSendmmsg: 4,
}

// readWrite learns the ends of datagrams.
func (s *state) readWrite(c *call) {
	mmsg := c.typ == event.SysSendmmsg || c.typ == event.SysRecvmmsg
	if mmsg && c.empty(0) {
		return
	}
	if c.fd == nil {
		s.inferSocket(c)
	}
	f := c.fd
	if f == nil || c.ret < 0 {
		return
	}
	if f.Type == event.FDIPv4 || f.Type == event.FDIPv6 {
		f.Connected = true
	}
	i := int(tupleParam[c.typ])
	if i == 0 || f.Name != "" && isTCP(f) {
		return
	}
	var a event.SockAddr
	if !sockTuple(c.param(i), &a) || !s.updateSocket(f, &a) {
		return
	}
	if f.Type != event.FDIPv4 && f.Type != event.FDIPv6 {
		f.Name = s.strings.text(event.TupleText(&a))
		return
	}
	incoming := c.def.Attrs&event.ReadsFD != 0
	if !f.Server && !f.Client {
		guessRole(c.t, f, incoming)
	}
	f.NoRole = false
	if incoming && f.Client || !incoming && f.Server {
		f.Sock.Src, f.Sock.Dst = f.Sock.Dst, f.Sock.Src
	}
	f.Name = s.strings.text(socketName(f))
}

// isTCP: Falco takes every socket for one that is neither UDP, ICMP nor raw.
func isTCP(f *event.FD) bool { return f.Type.IsIP() && f.Proto == event.ProtoTCP }

// updateSocket notes the ends that data went between.
func (s *state) updateSocket(f *event.FD, a *event.SockAddr) bool {
	switch a.Family {
	case familyUnix:
		f.Type = event.FDUnix
		f.Sock = event.SockAddr{Family: familyUnix, SrcPtr: a.SrcPtr, DstPtr: a.DstPtr, Path: s.strings.text(a.Path)}
		f.Name = f.Sock.Path
		return true
	case familyINET, familyINET6:
		if f.Type == event.FDIPv6Server && a.Family == familyINET6 && !(isMapped(a.Src.Addr()) && isMapped(a.Dst.Addr())) {
			// It stays a server, whose port and protocol are where the other end's address is.
			dst := a.Dst.Addr().As16()
			f.Sock.Src, f.Proto = netip.AddrPortFrom(a.Src.Addr(), le.Uint16(dst[:])), protocol(dst[2])
			return true
		}
		if !s.setTuple(f, a) {
			return false
		}
	}
	if (f.Type == event.FDIPv4 || f.Type == event.FDIPv6) && f.Proto == event.ProtoUnknown {
		f.Proto = event.ProtoUDP
	}
	if f.Type == event.FDIPv4 || f.Type == event.FDIPv6 {
		s.inferAddress(f)
	}
	return true
}

// inferSocket guesses a UDP socket where the call that made it was missed.
func (s *state) inferSocket(c *call) {
	switch c.typ {
	case event.SysSend, event.SysSendto, event.SysSendmsg:
	default:
		return
	}
	tuple := c.param(4)
	if c.ret < 0 || len(tuple) == 0 {
		return
	}
	if family := uint32(tuple[0]); family == familyINET || family == familyINET6 {
		c.fd = c.t.addFD(c.num(2), newSocket(family, sockDgram, protoUDP))
	}
}

// guessRole takes the end for the server's whose port the process is bound to. For a
// port of IPv6 Falco takes what lies where those of IPv4 are, a part of the address.
func guessRole(t *thread, f *event.FD, incoming bool) {
	src, dst := f.Sock.Src.Port(), f.Sock.Dst.Port()
	if f.Type == event.FDIPv6 && f.Sock.Src.IsValid() {
		b := f.Sock.Src.Addr().As16()
		src, dst = le.Uint16(b[8:]), le.Uint16(b[10:])
	}
	bound, client := false, false
	for _, other := range t.table() {
		switch other.Type {
		case event.FDIPv4:
			bound = bound || other.Sock.Dst.Port() == dst
			client = client || other.Sock.Src.Port() == src
		case event.FDIPv4Server:
			bound = bound || other.Sock.Src.Port() == dst
		}
	}
	switch {
	case !bound:
		f.Client = true
	case !client:
		f.Server = true
	case incoming:
		f.Server = true
	default:
		f.Client = true
	}
}

func bytesText(b []byte) string { return unsafeText(bytes.TrimRight(b, "\x00")) }
