// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package trace

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/event"
)

// socketInfo is what the kernel tells of a socket.
type socketInfo struct {
	domain, typ, proto int
	local, remote      event.SockAddr
	hasRemote          bool
	halfKnown          bool   // the local end is not known
	received           uint32 // bytes, or of a listening socket connections, that wait; by ProcNet only
}

// socket looks at a socket of a stopped thread, in the best of the ways that
// work. When none does, it notes why in t.unknown.
func (t *tracer) socket(th *thread, num int64) (info socketInfo, ok bool) {
	var err error
	if t.ways&PidfdGetfd != 0 {
		if info, err = askSocket(th.proc.PID, num); err == nil {
			return info, true
		}
		if !forbidden(err) && err != unix.ENOSYS {
			return info, false // it is closed, or no socket
		}
	}
	if t.ways&ProcNet != 0 {
		if info, err = t.findSocket(th, num); err == nil {
			return info, true
		}
		if err == unix.ENOENT || err == unix.ENOTSOCK {
			return info, false
		}
	}
	if t.ways&FollowCalls != 0 {
		var st unix.Stat_t
		if fd := th.proc.FDs[num]; fd != nil && fd.Domain != 0 && fd.Unknown.Type == event.Known &&
			unix.Stat(t.fdPath(th.TID, num), &st) == nil && fd.Ino == st.Ino {
			return recordedSocket(fd), true
		}
	}
	t.unknown = event.UnknownSocket
	return info, false
}

// openSocket returns a descriptor of our own for a tracee's socket.
func openSocket(pid, num int64) (int, error) {
	pidfd, err := unix.PidfdOpen(int(pid), 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(pidfd)
	return unix.PidfdGetfd(pidfd, int(num), 0)
}

// askSocket asks the socket itself.
func askSocket(pid, num int64) (info socketInfo, err error) {
	fd, err := openSocket(pid, num)
	if err != nil {
		return info, err
	}
	defer unix.Close(fd)
	if info.domain, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN); err != nil {
		return info, unix.ENOTSOCK
	}
	info.typ, _ = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	info.proto, _ = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	if sa, err := unix.Getsockname(fd); err == nil {
		info.local = fromSockaddr(sa)
	}
	if sa, err := unix.Getpeername(fd); err == nil {
		info.remote, info.hasRemote = fromSockaddr(sa), true
	}
	return info, nil
}

func fromSockaddr(sa unix.Sockaddr) event.SockAddr {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return event.SockAddr{Family: unix.AF_INET, Src: netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))}
	case *unix.SockaddrInet6:
		return event.SockAddr{Family: unix.AF_INET6, Src: netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))}
	case *unix.SockaddrUnix:
		return event.SockAddr{Family: unix.AF_UNIX, Path: strings.TrimPrefix(sa.Name, "@")}
	}
	return event.SockAddr{}
}

// socketProtocols are the names that the kernel gives to protocols, with the
// table below /proc/PID/net that lists their sockets.
var socketProtocols = map[string]struct {
	info  socketInfo
	table string
}{
	"TCP":         {socketInfo{domain: unix.AF_INET, typ: unix.SOCK_STREAM, proto: unix.IPPROTO_TCP}, "tcp"},
	"TCPv6":       {socketInfo{domain: unix.AF_INET6, typ: unix.SOCK_STREAM, proto: unix.IPPROTO_TCP}, "tcp6"},
	"UDP":         {socketInfo{domain: unix.AF_INET, typ: unix.SOCK_DGRAM, proto: unix.IPPROTO_UDP}, "udp"},
	"UDPv6":       {socketInfo{domain: unix.AF_INET6, typ: unix.SOCK_DGRAM, proto: unix.IPPROTO_UDP}, "udp6"},
	"RAW":         {socketInfo{domain: unix.AF_INET, typ: unix.SOCK_RAW}, "raw"},
	"RAWv6":       {socketInfo{domain: unix.AF_INET6, typ: unix.SOCK_RAW}, "raw6"},
	"PING":        {socketInfo{domain: unix.AF_INET, typ: unix.SOCK_DGRAM, proto: unix.IPPROTO_ICMP}, "icmp"},
	"PINGv6":      {socketInfo{domain: unix.AF_INET6, typ: unix.SOCK_DGRAM, proto: unix.IPPROTO_ICMPV6}, "icmp6"},
	"UNIX":        {socketInfo{domain: unix.AF_UNIX, typ: unix.SOCK_DGRAM}, "unix"},
	"UNIX-STREAM": {socketInfo{domain: unix.AF_UNIX, typ: unix.SOCK_STREAM}, "unix"},
	"NETLINK":     {socketInfo{domain: unix.AF_NETLINK, typ: unix.SOCK_RAW}, ""},
	"PACKET":      {socketInfo{domain: unix.AF_PACKET, typ: unix.SOCK_RAW}, ""},
}

// findSocket finds a socket by its inode in the tables below /proc/TID/net,
// which list all that are bound or connected. They are those of the network
// namespace that the thread is in now, which need not be its process's.
func (t *tracer) findSocket(th *thread, num int64) (info socketInfo, err error) {
	link := t.fdPath(th.TID, num)
	var st unix.Stat_t
	if err := unix.Stat(link, &st); err != nil {
		return info, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return info, unix.ENOTSOCK
	}
	var name [32]byte
	n, err := unix.Getxattr(link, "system.sockprotoname", name[:])
	if err != nil {
		return info, unix.EOPNOTSUPP
	}
	p, ok := socketProtocols[string(bytes.TrimRight(name[:n], "\x00"))]
	if !ok {
		return info, unix.EOPNOTSUPP
	}
	info = p.info
	if p.table == "" {
		return info, nil
	}
	table, err := t.readFile(string(t.procPath(th.TID, "net/"+p.table)))
	if err != nil {
		return info, unix.EOPNOTSUPP
	}
	if info.domain != unix.AF_UNIX {
		inetSocket(table, st.Ino, &info)
		return info, nil
	}
	unixSocket(table, st.Ino, &info)
	if fd := th.proc.FDs[num]; fd != nil && fd.Ino == st.Ino && fd.Connected && !fd.Server {
		info.remote.Path = fd.Sock.Path
	}
	return info, nil
}

// inetSocket finds the ends of a socket in a table such as /proc/net/tcp:
//
//	sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode …
func inetSocket(table []byte, inode uint64, info *socketInfo) {
	f := tableLine(table, inode, 9)
	if f == nil {
		return // neither bound nor connected
	}
	family := int32(info.domain)
	info.local = event.SockAddr{Family: family, Src: hexEndpoint(string(f[1]))}
	info.remote = event.SockAddr{Family: family, Src: hexEndpoint(string(f[2]))}
	info.hasRemote = info.remote.Src.Port() != 0
	if info.typ == unix.SOCK_RAW {
		info.proto = int(info.local.Src.Port())
	}
	if rx, err := strconv.ParseUint(string(f[4][bytes.IndexByte(f[4], ':')+1:]), 16, 32); err == nil {
		info.received = uint32(rx)
	}
}

// unixSocket finds a socket in /proc/net/unix, which does not tell its peer:
//
//	Num RefCount Protocol Flags Type St Inode Path
func unixSocket(table []byte, inode uint64, info *socketInfo) {
	f := tableLine(table, inode, 6)
	if f == nil {
		return
	}
	if typ, err := strconv.ParseUint(string(f[4]), 16, 16); err == nil {
		info.typ = int(typ)
	}
	const connected = "03"
	info.hasRemote = string(f[5]) == connected
	info.local.Family, info.remote.Family = unix.AF_UNIX, unix.AF_UNIX
	if len(f) > 7 {
		info.local.Path = strings.TrimPrefix(string(bytes.Join(f[7:], []byte(" "))), "@")
	}
}

// tableLine returns the fields of the line whose field n is the inode.
func tableLine(table []byte, inode uint64, n int) [][]byte {
	want := strconv.AppendUint(nil, inode, 10)
	for line := range bytes.Lines(table) {
		if !bytes.Contains(line, want) {
			continue
		}
		if f := bytes.Fields(line); len(f) > n && bytes.Equal(f[n], want) {
			return f
		}
	}
	return nil
}

// hexEndpoint reads "0100007F:0050": each four bytes of the address as a number
// in the machine's order, and the port.
func hexEndpoint(s string) netip.AddrPort {
	host, port, _ := strings.Cut(s, ":")
	p, _ := strconv.ParseUint(port, 16, 16)
	var b []byte
	for ; len(host) >= 8; host = host[8:] {
		word, err := strconv.ParseUint(host[:8], 16, 32)
		if err != nil {
			return netip.AddrPort{}
		}
		b = binary.NativeEndian.AppendUint32(b, uint32(word))
	}
	a, ok := netip.AddrFromSlice(b)
	if !ok {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a, uint16(p))
}

// recordedSocket is what the calls told that made a socket what it is. Which
// address and port a connection has on this side, they do not tell.
func recordedSocket(fd *event.FD) socketInfo {
	info := socketInfo{domain: int(fd.Domain), halfKnown: true}
	switch fd.Proto {
	case unix.IPPROTO_TCP:
		info.typ, info.proto = unix.SOCK_STREAM, unix.IPPROTO_TCP
	case unix.IPPROTO_UDP:
		info.typ, info.proto = unix.SOCK_DGRAM, unix.IPPROTO_UDP
	case unix.IPPROTO_ICMP:
		info.typ, info.proto = unix.SOCK_DGRAM, unix.IPPROTO_ICMP
	case protoRaw:
		info.typ, info.proto = unix.SOCK_RAW, unix.IPPROTO_RAW
	}
	family := fd.Domain
	switch {
	case fd.Domain == unix.AF_UNIX:
		info.local = event.SockAddr{Family: family, Path: fd.Sock.Path}
		info.remote, info.hasRemote = info.local, fd.Connected
	case fd.Type == event.FDIPv4Server || fd.Type == event.FDIPv6Server:
		info.local = event.SockAddr{Family: family, Src: fd.Sock.Src}
		info.halfKnown = fd.Sock.Src.Addr().IsUnspecified()
	case fd.HasTuple() && fd.Server:
		info.local, info.remote = event.SockAddr{Family: family, Src: fd.Sock.Dst}, event.SockAddr{Family: family, Src: fd.Sock.Src}
		info.hasRemote = true
		info.halfKnown = fd.Unknown.Local != event.Known
	case fd.HasTuple():
		info.local, info.remote = event.SockAddr{Family: family, Src: fd.Sock.Src}, event.SockAddr{Family: family, Src: fd.Sock.Dst}
		info.hasRemote = true
		info.halfKnown = fd.Unknown.Local != event.Known
	}
	return info
}
