// SPDX-License-Identifier: Apache-2.0

package fields

import (
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/filter"
)

var fdFields = []field{
	{name: "fd.num", typ: filter.Int64, get: num(func(e *event.Event) (int64, bool) { return e.FDNum, aboutFD(e) })},
	{name: "fd.type", typ: filter.CharBuf, get: fdStr(typeUnknown, func(fd *event.FD) (string, bool) { return fd.Type.String(), true })},
	{name: "fd.typechar", typ: filter.CharBuf, get: func(_ *Source, e *event.Event, v *filter.Value) bool {
		if !aboutFD(e) {
			return false
		}
		v.Str = typeCharOf(e.Type)
		if fd := currentFD(e); fd != nil {
			if fd.Unknown.Type != event.Known {
				return unknown(v, fd.Unknown.Type)
			}
			v.Str = fd.Type.TypeChar()
		}
		return true
	}},
	{name: "fd.name", typ: filter.CharBuf, get: fdName},
	{name: "fd.directory", typ: filter.CharBuf, get: fdDirectory},
	{name: "fd.filename", typ: filter.CharBuf, get: fdStr(fileNameUnknown, func(fd *event.FD) (string, bool) {
		if fd.Type != event.FDFile {
			return "", false
		}
		i := strings.LastIndexByte(fd.Name, '/')
		switch {
		case i < 0:
			return "/", true
		case i < len(fd.Name)-1:
			return fd.Name[i+1:], true
		}
		return fd.Name, true
	})},
	{name: "fd.ip", typ: filter.IPAddr, filterOnly: true, any: true, notEqualAll: true, noRight: true, noTran: true, get: bothIPs},
	{name: "fd.cip", typ: filter.IPAddr, get: addr(clientUnknown, clientIP)},
	{name: "fd.sip", typ: filter.IPAddr, get: addr(serverUnknown, serverIP)},
	{name: "fd.lip", typ: filter.IPAddr, get: endAddr(true)},
	{name: "fd.rip", typ: filter.IPAddr, get: endAddr(false)},
	{name: "fd.port", typ: filter.Port, filterOnly: true, any: true, notEqualAll: true, noRight: true, noTran: true, get: bothPorts},
	{name: "fd.cport", typ: filter.Port, get: fdNum(clientUnknown, clientPort)},
	{name: "fd.sport", typ: filter.Port, get: fdNum(serverUnknown, serverPort)},
	{name: "fd.lport", typ: filter.Port, get: endPort(true)},
	{name: "fd.rport", typ: filter.Port, get: endPort(false)},
	{name: "fd.l4proto", typ: filter.CharBuf, get: fdStr(typeUnknown, func(fd *event.FD) (string, bool) {
		switch fd.Protocol() {
		case event.ProtoTCP:
			return "tcp", true
		case event.ProtoUDP:
			return "udp", true
		case event.ProtoICMP:
			return "icmp", true
		case event.ProtoRaw:
			return "raw", true
		}
		return "<NA>", true
	})},
	{name: "fd.sockfamily", typ: filter.CharBuf, get: fdStr(typeUnknown, func(fd *event.FD) (string, bool) {
		switch {
		case fd.Type.IsIP():
			return "ip", true
		case fd.Type == event.FDUnix:
			return "unix", true
		}
		return "", false
	})},
	{name: "fd.is_server", typ: filter.Bool, get: func(s *Source, e *event.Event, v *filter.Value) bool {
		fd := currentFD(e)
		if !aboutFD(e) || fd == nil {
			return false
		}
		if why := serverUnknown(fd); why != event.Known {
			return unknown(v, why)
		}
		v.Num = 0
		switch fd.Type {
		case event.FDIPv4Server, event.FDIPv6Server:
			v.Num = 1
		case event.FDIPv4, event.FDIPv6:
			if isLocal(e, orZero(fd, fd.Sock.Dst.Addr())) {
				v.Num = 1
			}
		}
		return true
	}},
	{name: "fd.uid", typ: filter.CharBuf, get: str(func(e *event.Event) (string, bool) {
		if !aboutFD(e) || e.Thread == nil {
			return "", false
		}
		return itoa(e.Thread.TID) + itoa(e.FDNum), true
	})},
	{name: "fd.containername", typ: filter.CharBuf, get: inContainer(fdName)},
	{name: "fd.containerdirectory", typ: filter.CharBuf, get: inContainer(fdDirectory)},
	{name: "fd.proto", typ: filter.Port, filterOnly: true, any: true, notEqualAll: true, noRight: true, noTran: true, get: bothPorts},
	{name: "fd.cproto", typ: filter.CharBuf, get: fdPortText(clientUnknown, func(fd *event.FD) (int64, bool) {
		switch fd.Type {
		case event.FDUnix, event.FDIPv4Server, event.FDIPv6Server:
			return -1, fd.Server || fd.Client || fd.Connected // empty, not absent
		}
		return clientPort(fd)
	})},
	{name: "fd.sproto", typ: filter.CharBuf, get: fdPortText(serverUnknown, func(fd *event.FD) (int64, bool) {
		if fd.Type == event.FDIPv4Server || fd.Type == event.FDIPv6Server {
			return -1, true
		}
		return serverPort(fd)
	})},
	{name: "fd.lproto", typ: filter.CharBuf, get: portText(endPort(true))},
	{name: "fd.rproto", typ: filter.CharBuf, get: portText(endPort(false))},
	{name: "fd.net", typ: filter.IPNet, filterOnly: true, any: true, notEqualAll: true, noRight: true, noTran: true, get: bothIPs},
	{name: "fd.cnet", typ: filter.IPNet, filterOnly: true, noRight: true, noTran: true, get: addr(clientUnknown, clientIP)},
	{name: "fd.snet", typ: filter.IPNet, filterOnly: true, noRight: true, noTran: true, get: addr(serverUnknown, serverIP)},
	{name: "fd.lnet", typ: filter.IPNet, filterOnly: true, noRight: true, noTran: true, get: endAddr(true)},
	{name: "fd.rnet", typ: filter.IPNet, filterOnly: true, noRight: true, noTran: true, get: endAddr(false)},
	{name: "fd.connected", typ: filter.Bool, get: fdBool(typeUnknown, func(fd *event.FD) bool { return fd.Connected })},
	{name: "fd.name_changed", typ: filter.Bool, get: func(_ *Source, e *event.Event, v *filter.Value) bool {
		fd := currentFD(e)
		if !aboutFD(e) || fd == nil {
			return false
		}
		if why := nameUnknown(fd); why != event.Known {
			return unknown(v, why)
		}
		v.Num = 0
		// A descriptor that the call made had no name before; a copy has that of
		// the original.
		made := attrs(e)&event.CreatesFD != 0 && e.Ret >= 0 && e.Type != event.SysDup && e.Type != event.SysDup2 && e.Type != event.SysDup3 && e.Type != event.SysPidfdGetfd
		if e.FDNameChanged || made && fd.Name != "" {
			v.Num = 1
		}
		return true
	}},
	hostField("fd.cip.name", addr(clientUnknown, clientIP)),
	hostField("fd.sip.name", addr(serverUnknown, serverIP)),
	hostField("fd.lip.name", endAddr(true)),
	hostField("fd.rip.name", endAddr(false)),
	{name: "fd.dev", typ: filter.Int32, print: printHex, get: fdNum(fileUnknown, func(fd *event.FD) (int64, bool) { return int64(int32(fd.Dev)), true })},
	{name: "fd.dev.major", typ: filter.Int32, get: fdNum(fileUnknown, func(fd *event.FD) (int64, bool) { return int64(fd.Dev & 0xfff00 >> 8), true })},
	{name: "fd.dev.minor", typ: filter.Int32, get: fdNum(fileUnknown, func(fd *event.FD) (int64, bool) {
		return int64(fd.Dev&0xff | fd.Dev>>12&0xfff00), true
	})},
	{name: "fd.ino", typ: filter.Int64, get: fdNum(fileUnknown, func(fd *event.FD) (int64, bool) { return int64(fd.Ino), true })},
	{name: "fd.nameraw", typ: filter.CharBuf, get: fdNameRaw},
	{name: "fd.types", typ: filter.CharBuf, arg: optNumber, list: true, noRight: true, with: fdTypes},
	{name: "fd.is_upper_layer", typ: filter.Bool, get: fdBool(fdLayerUnknown, func(fd *event.FD) bool { return fd.UpperLayer })},
	{name: "fd.is_lower_layer", typ: filter.Bool, get: fdBool(fdLayerUnknown, func(fd *event.FD) bool { return fd.LowerLayer })},
}

var fdListFields = []field{
	{name: "fdlist.nums", typ: filter.CharBuf, get: fdList(func(n int64, _ *event.FD) (string, bool) { return itoa(n), true })},
	{name: "fdlist.names", typ: filter.CharBuf, get: fdList(func(_ int64, fd *event.FD) (string, bool) {
		if fd == nil || fd.Name == "" {
			return "<NA>", true
		}
		return fd.Name, true
	})},
	{name: "fdlist.cips", typ: filter.CharBuf, get: fdList(func(_ int64, fd *event.FD) (string, bool) {
		if fd == nil || fd.Type != event.FDIPv4 && fd.Type != event.FDIPv6 {
			return "", false
		}
		return addrText(fd.Sock.Src.Addr()), true
	})},
	{name: "fdlist.sips", typ: filter.CharBuf, get: fdList(func(_ int64, fd *event.FD) (string, bool) {
		if fd == nil || !fd.Type.IsIP() {
			return "", false
		}
		a, _ := listenOrDst(fd)
		return addrText(a.Addr()), true
	})},
	{name: "fdlist.cports", typ: filter.CharBuf, get: fdList(func(_ int64, fd *event.FD) (string, bool) {
		if fd == nil || fd.Type != event.FDIPv4 && fd.Type != event.FDIPv6 {
			return "", false
		}
		return strconv.Itoa(int(fd.Sock.Src.Port())), true
	})},
	{name: "fdlist.sports", typ: filter.CharBuf, get: fdList(func(_ int64, fd *event.FD) (string, bool) {
		if fd == nil || fd.Type != event.FDIPv4 && fd.Type != event.FDIPv6 {
			return "", false
		}
		return strconv.Itoa(int(fd.Sock.Dst.Port())), true
	})},
}

// aboutFD: the event is of a type that creates, uses or closes a descriptor.
func aboutFD(e *event.Event) bool {
	return attrs(e)&(event.CreatesFD|event.UsesFD|event.DestroysFD) != 0 && e.Thread != nil
}

// currentFD is the descriptor that fd.* fields speak of.
func currentFD(e *event.Event) *event.FD {
	if e.FD != nil || e.FDNum < 0 {
		return e.FD
	}
	if p := proc(e); p != nil && e.HasFD {
		return p.FDs[e.FDNum]
	}
	return nil
}

// What fd.* fields hang on.

func typeUnknown(fd *event.FD) event.Unknown    { return fd.Unknown.Type }
func fileUnknown(fd *event.FD) event.Unknown    { return fd.Unknown.File }
func fdLayerUnknown(fd *event.FD) event.Unknown { return fd.Unknown.Layer }

func nameUnknown(fd *event.FD) event.Unknown {
	if fd.Unknown.Name != event.Known {
		return fd.Unknown.Name
	}
	return fd.Unknown.Type
}

// fileNameUnknown is for what files alone have.
func fileNameUnknown(fd *event.FD) event.Unknown {
	if fd.Unknown.Type == event.Known && !isFileFD(fd) {
		return event.Known
	}
	return nameUnknown(fd)
}

// clientUnknown and serverUnknown are for the ends of a connection, of which
// this end may not be known. What listens is a server.
func clientUnknown(fd *event.FD) event.Unknown {
	if fd.Unknown.Type != event.Known || fd.Server {
		return fd.Unknown.Type
	}
	return fd.Unknown.Local
}

func serverUnknown(fd *event.FD) event.Unknown {
	if fd.Unknown.Type != event.Known || !fd.Server {
		return fd.Unknown.Type
	}
	return fd.Unknown.Local
}

func fdGet(hangsOn func(*event.FD) event.Unknown, f func(*event.FD, *filter.Value) bool) getter {
	return func(_ *Source, e *event.Event, v *filter.Value) bool {
		fd := currentFD(e)
		if !aboutFD(e) || fd == nil {
			return false
		}
		if why := hangsOn(fd); why != event.Known {
			return unknown(v, why)
		}
		return f(fd, v)
	}
}

func fdStr(hangsOn func(*event.FD) event.Unknown, f func(*event.FD) (string, bool)) getter {
	return fdGet(hangsOn, func(fd *event.FD, v *filter.Value) (ok bool) {
		v.Str, ok = f(fd)
		return ok
	})
}

func fdNum(hangsOn func(*event.FD) event.Unknown, f func(*event.FD) (int64, bool)) getter {
	return fdGet(hangsOn, func(fd *event.FD, v *filter.Value) (ok bool) {
		v.Num, ok = f(fd)
		return ok
	})
}

func fdBool(hangsOn func(*event.FD) event.Unknown, f func(*event.FD) bool) getter {
	return fdNum(hangsOn, func(fd *event.FD) (int64, bool) {
		if f(fd) {
			return 1, true
		}
		return 0, true
	})
}

// typeCharOf is the kind of descriptor that a call which failed would have made.
func typeCharOf(t event.Type) string {
	switch t {
	case event.SysOpenat, event.SysOpenat2, event.SysCreat:
		return "f" // not open, as in Falco
	case event.SysSocket, event.SysAccept, event.SysAccept4:
		return "4"
	case event.SysPipe, event.SysPipe2:
		return "p"
	case event.SysEventfd, event.SysEventfd2:
		return "e"
	case event.SysSignalfd, event.SysSignalfd4:
		return "s"
	case event.SysTimerfdCreate:
		return "t"
	case event.SysInotifyInit, event.SysInotifyInit1:
		return "i"
	}
	return "o"
}

// fdName is the descriptor's name, or what the call asked for when it failed.
func fdName(_ *Source, e *event.Event, v *filter.Value) bool {
	if !aboutFD(e) {
		return false
	}
	fd := currentFD(e)
	if fd == nil {
		return nameFromEvent(e, v, false)
	}
	v.Str = fd.Name
	if fd.Unknown.Name != event.Known {
		return unknown(v, fd.Unknown.Name)
	}
	return true
}

func nameFromEvent(e *event.Event, v *filter.Value, raw bool) bool {
	i := 0
	switch e.Type {
	case event.SysOpen, event.SysCreat, event.SysAccept, event.SysAccept4, event.SysConnect:
		i = 1
		raw = false
	case event.SysOpenat, event.SysOpenat2:
		i = 2
	case event.SysOpenByHandleAt:
		i = 3
		raw = true
	default:
		v.Str = ""
		return true
	}
	if i >= len(e.Params) {
		return false
	}
	switch p := &e.Params[i]; {
	case p.Unknown != event.Known:
		return unknown(v, p.Unknown)
	case p.Null:
		switch e.Type {
		case event.SysOpenat, event.SysOpenat2:
			return false // a path that is not there to read
		}
		v.Str = e.Def().Params[i].NullText()
	case raw:
		v.Str = p.Str
	case e.Def().Params[i].Type == event.PSockTuple:
		v.Str = e.ParamValue(i)
	case e.Def().Params[i].Type == event.PFSRelPath && p.Path == "":
		v.Str = inDirfd(e, i)
	default:
		v.Str = absParam(e, i)
	}
	return true
}

// inDirfd is a path parameter of a call that is also given a directory, one that is
// not known being named so.
func inDirfd(e *event.Event, i int) string {
	dirfd := e.Params[e.Def().Params[i].Dirfd].Num
	if q := proc(e); dirfd != atCwd && q != nil && q.FDs[dirfd] == nil {
		return event.JoinPath(unknownPath, e.Params[i].Str)
	}
	return absParam(e, i)
}

func fdDirectory(s *Source, e *event.Event, v *filter.Value) bool {
	if !aboutFD(e) {
		return false
	}
	fd := currentFD(e)
	if fd != nil && fd.Unknown.Type != event.Known {
		return unknown(v, fd.Unknown.Type)
	}
	if fd != nil && !isFileFD(fd) || !fdName(s, e, v) {
		return false
	}
	if fd != nil && fd.Type == event.FDDirectory {
		return true
	}
	switch i := strings.LastIndexByte(v.Str, '/'); {
	case i <= 0:
		v.Str = "/"
	case i < len(v.Str)-1:
		v.Str = v.Str[:i]
	}
	return true
}

func fdNameRaw(_ *Source, e *event.Event, v *filter.Value) bool {
	if !aboutFD(e) {
		return false
	}
	v.Str = ""
	switch fd := currentFD(e); {
	case fd == nil:
		if !nameFromEvent(e, v, true) {
			return false
		}
	case fileNameUnknown(fd) != event.Known:
		return unknown(v, fileNameUnknown(fd))
	case isFileFD(fd):
		v.Str = fd.NameRaw
	}
	for strings.Contains(v.Str, "//") {
		v.Str = strings.ReplaceAll(v.Str, "//", "/")
	}
	return true
}

func inContainer(get getter) getter {
	return func(s *Source, e *event.Event, v *filter.Value) bool {
		if !get(s, e, v) {
			return false
		}
		id := "host"
		if p := proc(e); p != nil && p.Container != nil {
			id = p.Container.ID
		}
		v.Str = id + ":" + v.Str
		return true
	}
}

func clientIP(fd *event.FD) (netip.Addr, bool) { return fd.Sock.Src.Addr(), fd.HasTuple() }

// listenOrDst is the server's address: where it listens, or the tuple's.
func listenOrDst(fd *event.FD) (netip.AddrPort, bool) {
	if fd.Type == event.FDIPv4Server || fd.Type == event.FDIPv6Server {
		if fd.Sock.Src.IsValid() {
			return fd.Sock.Src, true
		}
		return fd.Sock.Dst, fd.Sock.Dst.IsValid()
	}
	return fd.Sock.Dst, fd.HasTuple()
}

func serverIP(fd *event.FD) (netip.Addr, bool) {
	a, ok := listenOrDst(fd)
	return a.Addr(), ok
}

func clientPort(fd *event.FD) (int64, bool) { return int64(fd.Sock.Src.Port()), fd.HasTuple() }

func serverPort(fd *event.FD) (int64, bool) {
	a, ok := listenOrDst(fd)
	return int64(a.Port()), ok
}

func addr(hangsOn func(*event.FD) event.Unknown, f func(*event.FD) (netip.Addr, bool)) getter {
	return fdGet(hangsOn, func(fd *event.FD, v *filter.Value) (ok bool) {
		v.Addr, ok = f(fd)
		return ok
	})
}

// bothIPs gives both ends of a connection, or the address of a listener.
func bothIPs(_ *Source, e *event.Event, v *filter.Value) bool {
	return bothEnds(e, v, func(fd *event.FD, end netip.AddrPort) filter.Value { return filter.Value{Addr: orZero(fd, end.Addr())} })
}

func bothEnds(e *event.Event, v *filter.Value, value func(*event.FD, netip.AddrPort) filter.Value) bool {
	fd := currentFD(e)
	if !aboutFD(e) || fd == nil {
		return false
	}
	if fd.Unknown.Type != event.Known {
		return unknown(v, fd.Unknown.Type)
	}
	if !fd.Type.IsIP() {
		return false
	}
	v.List = v.List[:0]
	add := func(end netip.AddrPort, why event.Unknown) {
		if why != event.Known {
			v.List = append(v.List, filter.Value{Unknown: reasons[why]})
			return
		}
		v.List = append(v.List, value(fd, end))
	}
	if fd.Type == event.FDIPv4Server || fd.Type == event.FDIPv6Server {
		a, ok := listenOrDst(fd)
		add(a, serverUnknown(fd))
		return ok
	}
	add(fd.Sock.Src, clientUnknown(fd))
	add(fd.Sock.Dst, serverUnknown(fd))
	return true
}

// orZero: to Falco the address of a socket that has none yet is all zeros.
func orZero(fd *event.FD, a netip.Addr) netip.Addr {
	switch {
	case a.IsValid():
		return a
	case fd.Type == event.FDIPv6:
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}

func bothPorts(_ *Source, e *event.Event, v *filter.Value) bool {
	return bothEnds(e, v, func(_ *event.FD, end netip.AddrPort) filter.Value { return filter.Value{Num: int64(end.Port())} })
}

// end is the local or the remote end: the client's is the local one when its
// address is one of this machine's.
func end(e *event.Event, v *filter.Value, local bool) (netip.AddrPort, bool) {
	fd := currentFD(e)
	if !aboutFD(e) || fd == nil {
		return netip.AddrPort{}, false
	}
	if fd.Unknown.Type != event.Known {
		return netip.AddrPort{}, unknown(v, fd.Unknown.Type)
	}
	if !fd.HasTuple() {
		return netip.AddrPort{}, false
	}
	isLocal := func() bool { return isLocal(e, fd.Sock.Src.Addr()) }
	if fd.Unknown.Local != event.Known {
		if local {
			return netip.AddrPort{}, unknown(v, fd.Unknown.Local)
		}
		isLocal = func() bool { return !fd.Server }
	}
	if isLocal() == local {
		return fd.Sock.Src, true
	}
	return fd.Sock.Dst, true
}

func endAddr(local bool) getter {
	return func(_ *Source, e *event.Event, v *filter.Value) bool {
		a, ok := end(e, v, local)
		v.Addr = a.Addr()
		return ok
	}
}

func endPort(local bool) getter {
	return func(_ *Source, e *event.Event, v *filter.Value) bool {
		a, ok := end(e, v, local)
		v.Num = int64(a.Port())
		return ok
	}
}

// fdPortText and portText: Falco does not look up the names of services unless
// it is told to, so the protocol fields show the port's number.
func fdPortText(hangsOn func(*event.FD) event.Unknown, f func(*event.FD) (int64, bool)) getter {
	return portText(fdNum(hangsOn, f))
}

func portText(g getter) getter {
	return func(s *Source, e *event.Event, v *filter.Value) bool {
		if !g(s, e, v) {
			return false
		}
		v.Str = ""
		if v.Num >= 0 {
			v.Str = itoa(v.Num)
		}
		return true
	}
}

// hostField is the name of an address. Falco asks the resolver for the
// addresses of the names in a condition; the built-in engine, which must not
// depend on a network, knows the names in hosts files. The address itself is
// among the values so that != holds for an address without a name.
func hostField(name string, g getter) field {
	return field{name: name, typ: filter.CharBuf, any: true, notEqualAll: true, noRight: true, noTran: true,
		get: func(s *Source, e *event.Event, v *filter.Value) bool {
			if !g(s, e, v) {
				return false
			}
			v.List = append(v.List[:0], filter.Value{Str: addrText(v.Addr)})
			for _, n := range e.Machine().HostNames(e.Thread, v.Addr) {
				v.List = append(v.List, filter.Value{Str: n})
			}
			return true
		},
		single: never, // Falco knows names that it looked up for conditions only
	}
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return "0.0.0.0"
	}
	return a.WithZone("").String()
}

// fdTypes lists the types of all open descriptors of the process, or has that
// of one.
func fdTypes(_ *Source, arg argument, _ *filter.Field) (getter, error) {
	if arg.has {
		n, err := strconv.ParseInt(arg.text, 10, 64)
		if err != nil || !arg.brackets {
			return nil, fmt.Errorf("fd.types[%s]: want the number of a descriptor", arg.text)
		}
		return func(_ *Source, e *event.Event, v *filter.Value) bool {
			p := proc(e)
			if !aboutFD(e) || p == nil {
				return false
			}
			if why := numberedUnknown(p, n); why != event.Known {
				return unknown(v, why)
			}
			if p.FDs[n] == nil {
				return false
			}
			v.List = append(v.List[:0], filter.Value{Str: p.FDs[n].Type.String()})
			return true
		}, nil
	}
	const other = event.FDUnsupported + 1 // of recordings: what a call noted that failed
	return func(_ *Source, e *event.Event, v *filter.Value) bool {
		p := proc(e)
		if !aboutFD(e) || p == nil {
			return false
		}
		v.List = v.List[:0]
		var seen uint32
		var order [other + 1]int64 // of a type's first descriptor
		for _, fd := range p.FDs {
			if fd.Unknown.Type != event.Known {
				v.List = append(v.List, filter.Value{Unknown: reasons[fd.Unknown.Type]})
				continue
			}
			t := min(fd.Type, other)
			if seen&(1<<t) == 0 || fd.Order < order[t] {
				order[t] = fd.Order
			}
			seen |= 1 << t
		}
		if p.Unknown.FDs != event.Known {
			v.List = append(v.List, filter.Value{Unknown: reasons[p.Unknown.FDs]})
		}
		for seen != 0 {
			next := event.FDType(bits.TrailingZeros32(seen))
			for t := next + 1; t <= other; t++ {
				if seen&(1<<t) != 0 && order[t] < order[next] {
					next = t
				}
			}
			seen &^= 1 << next
			name := next.String()
			if !slices.ContainsFunc(v.List, func(had filter.Value) bool { return had.Str == name }) {
				v.List = append(v.List, filter.Value{Str: name})
			}
		}
		return true
	}, nil
}

// numberedUnknown is why it is not known what a process has under a number.
func numberedUnknown(p *event.Process, n int64) event.Unknown {
	if fd := p.FDs[n]; fd != nil {
		return fd.Unknown.Type
	}
	return p.Unknown.FDs
}

func fdList(f func(n int64, fd *event.FD) (string, bool)) getter {
	return str(func(e *event.Event) (string, bool) {
		p := proc(e)
		if e.Type != event.SysPoll && e.Type != event.SysPpoll || p == nil || len(e.Params) < 2 {
			return "", false
		}
		var b []byte
		for _, item := range e.Params[1].List {
			if s, ok := f(item.FD, p.FDs[item.FD]); ok {
				if len(b) > 0 {
					b = append(b, ',')
				}
				b = append(b, s...)
			}
		}
		return string(b), len(b) > 0
	})
}
