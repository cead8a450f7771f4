// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package trace

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/event"
)

// sockaddr reads an address that a call was given. Falco knows three families.
func (t *tracer) sockaddr(tid int, addr, size uint64) (event.SockAddr, bool) {
	size = min(size&0xffff, 128)
	if addr == 0 || size < 2 {
		return event.SockAddr{}, false
	}
	b, ok := t.bytes(tid, addr, int(size))
	if !ok {
		return event.SockAddr{}, false
	}
	switch family := binary.NativeEndian.Uint16(b); {
	case family == unix.AF_INET && len(b) >= 8:
		ip := netip.AddrFrom4([4]byte(b[4:8]))
		return event.SockAddr{Family: unix.AF_INET, Src: netip.AddrPortFrom(ip, binary.BigEndian.Uint16(b[2:]))}, true
	case family == unix.AF_INET6 && len(b) >= 24:
		ip := netip.AddrFrom16([16]byte(b[8:24]))
		return event.SockAddr{Family: unix.AF_INET6, Src: netip.AddrPortFrom(ip, binary.BigEndian.Uint16(b[2:]))}, true
	case family == unix.AF_UNIX:
		name := b[2:]
		if len(name) > 0 && name[0] == 0 {
			name = name[1:] // an abstract name
		}
		for i, c := range name {
			if c == 0 {
				name = name[:i]
				break
			}
		}
		return event.SockAddr{Family: unix.AF_UNIX, Path: t.intern(name)}, true
	}
	return event.SockAddr{}, false
}

// tuple returns both ends of a socket, the peer first when the data or the
// connection came in. The address that the call was given stands in for the
// peer of a socket that has none. When t.unknown is set as well, this end is
// not known.
func (t *tracer) tuple(th *thread, num int64, inbound bool, given event.SockAddr) (event.SockAddr, bool) {
	info, ok := t.socket(th, num)
	if !ok {
		return event.SockAddr{}, false
	}
	return info.tuple(t, inbound, given)
}

func (info *socketInfo) tuple(t *tracer, inbound bool, given event.SockAddr) (event.SockAddr, bool) {
	if info.halfKnown && info.domain != unix.AF_UNIX {
		t.unknown = event.UnknownSocket
	}
	sa := event.SockAddr{Family: int32(info.domain)}
	switch info.domain {
	case unix.AF_INET, unix.AF_INET6:
		local, remote := info.local.Src, info.remote.Src
		if !info.hasRemote || remote.Port() == 0 {
			remote = given.Src
		}
		local, remote = fill(local, info.domain), fill(remote, info.domain)
		sa.Src, sa.Dst = local, remote
		if inbound {
			sa.Src, sa.Dst = remote, local
		}
	case unix.AF_UNIX:
		switch {
		case inbound:
			sa.Path = info.local.Path
		case info.hasRemote && info.remote.Path != "":
			sa.Path = info.remote.Path
		default:
			sa.Path = given.Path
		}
	default:
		return event.SockAddr{}, false
	}
	return sa, true
}

// fill gives an address that is not known its family's zero.
func fill(ap netip.AddrPort, domain int) netip.AddrPort {
	if ap.IsValid() {
		return ap
	}
	if domain == unix.AF_INET6 {
		return netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
	}
	return netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
}

// unmapTuple turns a tuple of mapped addresses into one of IPv4, as Falco's
// descriptors hold it. Falco takes the unspecified IPv6 address for one too.
func unmapTuple(sa event.SockAddr) event.SockAddr {
	if sa.Family == unix.AF_INET6 && isMapped(sa.Src.Addr()) && isMapped(sa.Dst.Addr()) {
		sa.Family = unix.AF_INET
		sa.Src, sa.Dst = unmap(sa.Src), unmap(sa.Dst)
	}
	return sa
}

func isMapped(a netip.Addr) bool { return a.Is4In6() || a == netip.IPv6Unspecified() }

func unmap(ap netip.AddrPort) netip.AddrPort {
	if ap.Addr() == netip.IPv6Unspecified() {
		return netip.AddrPortFrom(netip.IPv4Unspecified(), ap.Port())
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// tupleName is the name of a descriptor with both ends known.
func tupleName(fd *event.FD, sa event.SockAddr) string {
	switch sa.Family {
	case unix.AF_INET, unix.AF_INET6:
		switch fd.Proto {
		case unix.IPPROTO_TCP, unix.IPPROTO_UDP:
			return endpoint(sa.Src) + "->" + endpoint(sa.Dst)
		case unix.IPPROTO_ICMP, protoRaw:
			return sa.Src.Addr().String() + "->" + sa.Dst.Addr().String()
		}
		return "<unknown>"
	case unix.AF_UNIX:
		return strconv.FormatUint(sa.SrcPtr, 16) + "->" + strconv.FormatUint(sa.DstPtr, 16) + " " + sa.Path
	}
	return ""
}

// endpoint is an address and a port; Falco puts no brackets around IPv6.
func endpoint(ap netip.AddrPort) string {
	return ap.Addr().String() + ":" + strconv.Itoa(int(ap.Port()))
}

// protoRaw stands for raw sockets in FD.Proto.
const protoRaw = 0

// l4proto is the transport protocol of a socket, 255 when Falco knows none.
func l4proto(typ, proto int) uint8 {
	raw := typ == unix.SOCK_RAW
	switch proto {
	case unix.IPPROTO_TCP:
		if raw {
			return protoRaw
		}
		return unix.IPPROTO_TCP
	case unix.IPPROTO_UDP:
		if raw {
			return protoRaw
		}
		return unix.IPPROTO_UDP
	case unix.IPPROTO_IP:
		switch typ & 0xff {
		case unix.SOCK_STREAM:
			return unix.IPPROTO_TCP
		case unix.SOCK_DGRAM:
			return unix.IPPROTO_UDP
		}
	case unix.IPPROTO_ICMP:
		if raw {
			return protoRaw
		}
		return unix.IPPROTO_ICMP
	case unix.IPPROTO_RAW:
		return protoRaw
	}
	return 255
}

// newSocket gives a descriptor the state of a socket just made.
func newSocket(fd *event.FD, domain, typ, proto int) {
	fd.Domain = int32(domain)
	switch domain {
	case unix.AF_UNIX:
		fd.Type = event.FDUnix
	case unix.AF_INET:
		fd.Type, fd.Proto = event.FDIPv4, l4proto(typ, proto)
	case unix.AF_INET6:
		fd.Type, fd.Proto = event.FDIPv6, l4proto(typ, proto)
	case unix.AF_NETLINK:
		fd.Type = event.FDNetlink
	default:
		fd.Type = event.FDUnknown
	}
}

// classifySocket finds the state of a socket whose calls were not followed.
func (t *tracer) classifySocket(th *thread, fd *event.FD) {
	t.unknown = event.Known
	info, ok := t.socket(th, fd.Num)
	if !ok {
		fd.Type = event.FDUnknown
		fd.Unknown.Type, fd.Unknown.Name, fd.Unknown.Local = t.unknown, t.unknown, t.unknown
		t.unknown = event.Known // the descriptor's matter, not that of a parameter
		return
	}
	newSocket(fd, info.domain, info.typ, info.proto)
	switch {
	case info.domain == unix.AF_UNIX:
		fd.Name, fd.Sock = info.local.Path, info.local
		fd.Connected = info.hasRemote
	case info.domain != unix.AF_INET && info.domain != unix.AF_INET6:
	case info.hasRemote:
		fd.Connected = true
		sa := event.SockAddr{Family: int32(info.domain), Src: fill(info.local.Src, info.domain), Dst: info.remote.Src}
		// The end whose port something here listens on is the server.
		if fd.Server = t.listensOn(th.proc, info.local.Src.Port()); fd.Server {
			sa.Src, sa.Dst = sa.Dst, sa.Src
		} else {
			fd.Client = true
		}
		setTuple(fd, sa)
	case info.local.Src.Port() != 0:
		bindSocket(fd, info.local)
	}
}

// listensOn tells whether a process has a server's descriptor for a port.
func (t *tracer) listensOn(p *process, port uint16) bool {
	for _, fd := range p.FDs {
		if (fd.Type == event.FDIPv4Server || fd.Type == event.FDIPv6Server) && fd.Sock.Src.Port() == port {
			return true
		}
	}
	return false
}

// setTuple names a connected socket's descriptor.
func setTuple(fd *event.FD, sa event.SockAddr) {
	sa = unmapTuple(sa)
	switch sa.Family {
	case unix.AF_INET:
		fd.Type = event.FDIPv4
	case unix.AF_INET6:
		fd.Type = event.FDIPv6
	case unix.AF_UNIX:
		fd.Type = event.FDUnix
	}
	fd.Sock = sa
	fd.Name = tupleName(fd, sa)
}

// bindSocket makes a descriptor a server's, as Falco does on bind.
func bindSocket(fd *event.FD, sa event.SockAddr) {
	name := sa.Path
	if sa.Family != unix.AF_UNIX {
		name = endpoint(sa.Src)
	}
	if (sa.Family == unix.AF_INET || sa.Family == unix.AF_INET6) && sa.Src.Port() != 0 {
		fd.Server = true
		fd.Type = event.FDIPv4Server
		if sa.Family == unix.AF_INET6 {
			if isMapped(sa.Src.Addr()) {
				sa.Family, sa.Src = unix.AF_INET, unmap(sa.Src)
			} else {
				fd.Type = event.FDIPv6Server
			}
		}
		fd.Sock = sa
	}
	fd.Name = name
}

// rename changes a descriptor's name and keeps the one that it had.
func rename(x *decoding, fd *event.FD, change func()) {
	old := fd.Name
	change()
	if fd.Name != old {
		fd.OldName = old
		x.c.nameChanged, x.c.oldName = true, old
	}
}

// connected updates a descriptor after connect(2). This end may be unknown.
func connected(x *decoding, fd *event.FD, sa event.SockAddr, local event.Unknown) {
	fd.Unknown.Name, fd.Unknown.Local = local, local
	rename(x, fd, func() {
		if fd.Server && fd.Proto == unix.IPPROTO_UDP && sa.Family != unix.AF_UNIX && tupleDiffers(fd, sa) {
			sa.Src, sa.Dst = sa.Dst, sa.Src
		}
		setTuple(fd, sa)
	})
	fd.Connected = true
	if !fd.Server {
		fd.Client = true
	}
}

// tupleDiffers tells whether a tuple has other ends than a descriptor's, in
// either order.
func tupleDiffers(fd *event.FD, sa event.SockAddr) bool {
	sa = unmapTuple(sa)
	have := fd.Sock
	return !(have.Src == sa.Src && have.Dst == sa.Dst) && !(have.Src == sa.Dst && have.Dst == sa.Src)
}

// transferred updates a descriptor after data went through it: a socket that
// is not TCP, or has no name yet, takes the tuple of the message.
func transferred(x *decoding, fd *event.FD, p *event.Param, inbound bool) {
	sa := p.Sock
	isInet := fd.Type == event.FDIPv4 || fd.Type == event.FDIPv6
	if isInet {
		fd.Connected = true
	}
	tcp := (isInet || fd.Type == event.FDIPv4Server || fd.Type == event.FDIPv6Server) && fd.Proto == unix.IPPROTO_TCP
	if fd.Name != "" && tcp {
		return
	}
	if p.Unknown != event.Known || !p.Null {
		fd.Unknown.Name, fd.Unknown.Local = p.Unknown, p.Unknown
	}
	if p.Null {
		return
	}
	if sa.Family == unix.AF_UNIX {
		rename(x, fd, func() { setTuple(fd, sa) })
		return
	}
	if isInet && fd.Name != "" && !tupleDiffers(fd, sa) {
		return
	}
	if fd.Proto == 255 {
		fd.Proto = unix.IPPROTO_UDP
	}
	u := unmapTuple(sa)
	if !fd.Server && !fd.Client {
		if x.t.listensOn(x.th.proc, u.Dst.Port()) {
			fd.Server = true
		} else {
			fd.Client = true
		}
	}
	sa = x.t.inferAddress(u)
	if (inbound && fd.Client) || (!inbound && fd.Server) {
		sa.Src, sa.Dst = sa.Dst, sa.Src
	}
	rename(x, fd, func() { setTuple(fd, sa) })
}

// inferAddress replaces an address of a tuple that is not known by one of this
// machine's, as Falco does: the other end's own, one of the same network, or
// else the first that is not the loopback's.
func (t *tracer) inferAddress(sa event.SockAddr) event.SockAddr {
	src, dst := sa.Src.Addr(), sa.Dst.Addr()
	switch {
	case !src.IsUnspecified() && !dst.IsUnspecified():
	case src.IsUnspecified():
		if a := t.localAddress(dst); a != dst || sa.Src.Port() != sa.Dst.Port() {
			sa.Src = netip.AddrPortFrom(a, sa.Src.Port())
		}
	default:
		if a := t.localAddress(src); a != src || sa.Src.Port() != sa.Dst.Port() {
			sa.Dst = netip.AddrPortFrom(a, sa.Dst.Port())
		}
	}
	return sa
}

func (t *tracer) localAddress(other netip.Addr) netip.Addr {
	if t.interfaces == nil {
		t.interfaces = []netip.Prefix{}
		addrs, _ := net.InterfaceAddrs()
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				t.interfaces = append(t.interfaces, p)
			}
		}
	}
	var network, first netip.Addr
	for _, p := range t.interfaces {
		a := p.Addr()
		switch {
		case a.Is4() != other.Is4():
		case a == other:
			return a
		case !network.IsValid() && p.Contains(other):
			network = a
		case !first.IsValid() && !a.IsLoopback():
			first = a
		}
	}
	switch {
	case network.IsValid():
		return network
	case first.IsValid():
		return first
	case other.Is4():
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}
