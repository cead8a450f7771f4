// SPDX-License-Identifier: Apache-2.0

package event

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Bytes is the value of a PByteBuf parameter. Each string of a vector ends with
// a zero byte, as in memory.
func (p *Param) Bytes() string {
	if len(p.Strs) == 0 {
		return p.Str
	}
	return strings.Join(p.Strs, "\x00") + "\x00"
}

// NullText is what Falco prints for a parameter that an event does not have.
func (d *ParamDef) NullText() string {
	switch d.Type {
	case PByteBuf, PSockTuple, PFDList, PDynamic:
		return "NULL"
	}
	return "<NA>"
}

// ParamText renders parameter i as Falco does: its plain text, and the resolved
// text where it has one (the name of a descriptor's file, of an error, of
// flags …), which is what evt.arg shows. evt.args shows both: "fd=3(<f>/etc/shadow)".
func (e *Event) ParamText(i int) (text, resolved string) {
	def := e.Def()
	if i < 0 || i >= len(def.Params) || i >= len(e.Params) {
		return "", ""
	}
	d, p := &def.Params[i], &e.Params[i]
	if p.Unknown != Known {
		return UnknownText, ""
	}
	if p.Null {
		return d.NullText(), ""
	}
	typ, format := d.Type, d.Format
	if typ == PDynamic && int(p.Dyn) < len(d.Dynamic) {
		// Falco keeps the format of the dynamic parameter itself.
		typ = d.Dynamic[p.Dyn].Type
	}
	switch typ {
	case PFD:
		return itoa(p.Num), e.fdText(p.Num)
	case PPID:
		return itoa(p.Num), e.CommOf(p.Num)
	case PErrno:
		return itoa(p.Num), ErrnoName(p.Num)
	case PInt16, PInt32, PInt64, PUint8, PUint16, PUint32, PUint64:
		return number(p.Num, typ, format), ""
	case PCharBuf:
		return p.Str, ""
	case PFSPath, PFSRelPath:
		return e.pathText(i, d, p)
	case PByteBuf:
		b := p.Bytes()
		if b == "" {
			return d.NullText(), ""
		}
		return Printable(b), ""
	case PSockAddr:
		return AddrText(&p.Sock), ""
	case PSockTuple:
		return TupleText(&p.Sock), ""
	case PFDList:
		return e.fdListText(p.List), ""
	case PSyscallID:
		return itoa(p.Num), e.Type.Def().Name
	case PSigType:
		return strconv.FormatUint(uint64(uint8(p.Num)), 10), SignalName(int64(uint8(p.Num)))
	case PSigSet:
		return sigSetText(uint32(p.Num)), ""
	case PRelTime:
		if p.Num == -1 {
			return "none", ""
		}
		return strconv.FormatUint(uint64(p.Num), 10), strconv.FormatFloat(float64(uint64(p.Num))/1e9, 'g', 6, 64) + "s"
	case PAbsTime:
		// As long as Falco's buffer for it: the zone is cut off.
		return time.Unix(int64(uint64(p.Num)/1e9), int64(uint64(p.Num)%1e9)).Format("2006-01-02 15:04:05.000000000"), ""
	case PFlags8, PFlags16, PFlags32:
		v := flagBits(typ, p.Num)
		return strconv.FormatUint(uint64(v), 10), FlagNames(d.Flags, v)
	case PEnumFlags8, PEnumFlags16, PEnumFlags32:
		v := flagBits(typ, p.Num)
		return strconv.FormatUint(uint64(v), 10), enumNames(d.Flags, v)
	case PMode:
		return number(int64(uint32(p.Num)), PUint32, format), modeNames(d.Flags, uint32(p.Num))
	case PUID, PGID:
		return e.idText(typ, uint32(p.Num))
	}
	return "", ""
}

// ParamValue is what evt.arg shows: the resolved text of parameter i, or the
// plain one when there is no other.
func (e *Event) ParamValue(i int) string {
	text, resolved := e.ParamText(i)
	if resolved != "" {
		return resolved
	}
	return text
}

// Args renders all parameters as evt.args shows them.
func (e *Event) Args() string {
	def := e.Def()
	if def.Attrs&Generic != 0 {
		return "" // Falco keeps those two parameters to itself
	}
	var b strings.Builder
	for i := range def.Params {
		if i >= len(e.Params) {
			break
		}
		if i > 0 {
			b.WriteByte(' ')
		}
		text, resolved := e.ParamText(i)
		b.WriteString(def.Params[i].Name)
		b.WriteByte('=')
		b.WriteString(text)
		if resolved != "" {
			b.WriteByte('(')
			b.WriteString(resolved)
			b.WriteByte(')')
		}
	}
	return b.String()
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// number prints n with the width of its type, as C's printf does.
func number(n int64, typ ParamType, format Format) string {
	var u uint64
	switch typ {
	case PInt16, PUint16:
		u = uint64(uint16(n))
	case PUint8:
		u = uint64(uint8(n))
	case PInt32, PUint32:
		u = uint64(uint32(n))
	default:
		u = uint64(n)
	}
	switch format {
	case FmtOct:
		if u == 0 {
			return "0"
		}
		return "0" + strconv.FormatUint(u, 8)
	case FmtHex:
		return strings.ToUpper(strconv.FormatUint(u, 16))
	}
	switch typ {
	case PInt16:
		return itoa(int64(int16(n)))
	case PInt32, PUint32: // Falco prints both signed
		return itoa(int64(int32(n)))
	case PUint8:
		return itoa(int64(uint8(n)))
	case PUint16:
		return itoa(int64(uint16(n)))
	}
	return itoa(n)
}

// TypeChar returns the character that fd.typechar shows.
func (t FDType) TypeChar() string {
	if int(t) < len(fdTypeChars) {
		return fdTypeChars[t]
	}
	return "?"
}

// String returns the name that fd.type shows.
func (t FDType) String() string {
	if int(t) < len(fdTypeNames) && fdTypeNames[t] != "" {
		return fdTypeNames[t]
	}
	return "<NA>"
}

var fdTypeChars = [...]string{
	FDUnknown: "o", FDFile: "f", FDDirectory: "d", FDIPv4: "4", FDIPv4Server: "4", FDIPv6: "6", FDIPv6Server: "6",
	FDUnix: "u", FDPipe: "p", FDEvent: "e", FDSignal: "s", FDEventPoll: "l", FDInotify: "i", FDTimer: "t",
	FDNetlink: "n", FDBPF: "b", FDUserfault: "u", FDIOUring: "r", FDMemfd: "m", FDPidfd: "P", FDUnsupported: "X",
}

var fdTypeNames = [...]string{
	FDFile: "file", FDDirectory: "directory", FDIPv4: "ipv4", FDIPv4Server: "ipv4", FDIPv6: "ipv6", FDIPv6Server: "ipv6",
	FDUnix: "unix", FDPipe: "pipe", FDEvent: "event", FDSignal: "signalfd", FDEventPoll: "eventpoll",
	FDInotify: "inotify", FDTimer: "timerfd", FDNetlink: "netlink", FDBPF: "bpf", FDUserfault: "userfaultfd",
	FDIOUring: "io_uring", FDMemfd: "memfd", FDPidfd: "pidfd", FDUnsupported: "<NA>",
}

// IsIP tells whether the descriptor is an IPv4 or IPv6 socket of any kind.
func (t FDType) IsIP() bool { return t >= FDIPv4 && t <= FDIPv6Server }

// fdText resolves a descriptor number: "<f>/etc/shadow", "<4t>…", AT_FDCWD or
// the name of an error.
func (e *Event) fdText(n int64) string {
	switch {
	case n >= 0:
		fd := e.lookupFD(n)
		if fd == nil {
			return ""
		}
		b := make([]byte, 0, len(fd.Name)+4)
		b = append(b, '<')
		b = append(b, fd.Type.TypeChar()...)
		switch fd.Protocol() {
		case ProtoTCP:
			b = append(b, 't')
		case ProtoUDP:
			b = append(b, 'u')
		case ProtoICMP:
			b = append(b, 'i')
		case ProtoRaw:
			b = append(b, 'r')
		}
		b = append(b, '>')
		if fd.Unknown.Name != Known {
			return string(append(b, UnknownText...))
		}
		b = append(b, Sanitize(fd.Name)...)
		return string(b)
	case n == -100:
		return "AT_FDCWD"
	}
	return ErrnoName(n)
}

// The protocols in FD.Proto: the numbers of /etc/protocols, and 0 for raw sockets.
const (
	ProtoRaw     = 0
	ProtoICMP    = 1
	ProtoTCP     = 6
	ProtoUDP     = 17
	ProtoUnknown = 255
)

// HasTuple tells whether the descriptor is one end of a connection, or of a
// datagram that came or went, so that there are a client and a server. Sock.Src
// is the client's end then, and Sock.Dst the server's.
func (fd *FD) HasTuple() bool {
	return (fd.Type == FDIPv4 || fd.Type == FDIPv6) && !fd.NoRole && fd.Sock.Src.IsValid() && fd.Sock.Dst.IsValid()
}

// Protocol is the protocol that fd.l4proto shows: of sockets that are not raw,
// it is known once there are two ends or the socket listens.
func (fd *FD) Protocol() uint8 {
	switch {
	case !fd.Type.IsIP():
		return ProtoUnknown
	case fd.Proto == ProtoRaw, fd.Type == FDIPv4Server, fd.Type == FDIPv6Server, fd.HasTuple():
		return fd.Proto
	}
	return ProtoUnknown
}

// lookupFD finds a descriptor of the event's process.
func (e *Event) lookupFD(n int64) *FD {
	if e.FD != nil && e.FDNum == n && e.FD.Num == n {
		return e.FD
	}
	if e.Thread == nil || e.Thread.Process == nil {
		return nil
	}
	return e.Thread.Process.FDs[n]
}

// pathText gives a path as the call had it, and absolute when it was relative.
func (e *Event) pathText(i int, d *ParamDef, p *Param) (text, resolved string) {
	text = Sanitize(p.Str)
	if p.Str == "" || p.Str == "<NA>" || p.Str[0] == '/' {
		return text, ""
	}
	if p.Path != "" {
		return text, Sanitize(p.Path)
	}
	base := ""
	if e.Thread != nil && e.Thread.Process != nil {
		base = e.Thread.Process.Cwd
	}
	if d.Type == PFSRelPath && d.Dirfd < len(e.Params) {
		if dirfd := e.Params[d.Dirfd].Num; dirfd != -100 {
			base = ""
			if fd := e.lookupFD(dirfd); fd != nil {
				base = fd.Name
			}
			if base != "" {
				base = Sanitize(base) + "/"
			}
		}
	}
	return text, Sanitize(JoinPath(base, p.Str))
}

// longestPath is from where on Falco joins no paths (SCAP_MAX_PATH_SIZE).
const longestPath = 1024

// JoinPath joins a directory and a path as Falco does: an absolute path stands
// alone, "." and ".." and repeated slashes are resolved without looking at the
// file system, and a relative path with no directory stays relative. A path that is
// longer than Falco's buffer becomes the text that Falco puts in its place.
func JoinPath(dir, path string) string {
	if len(dir)+len(path) >= longestPath {
		return "/DIR_TOO_LONG/FILENAME_TOO_LONG"
	}
	if path == "" || path[0] == '/' {
		return cleanPath("", path)
	}
	if dir != "" && dir[len(dir)-1] != '/' && dir[len(dir)-1] != '>' {
		dir += "/"
	}
	return cleanPath(dir, path)
}

// cleanPath appends path to base, which it does not clean, but which ".." may
// eat from.
func cleanPath(base, path string) string {
	if base == "" && isClean(path) {
		return path
	}
	t := make([]byte, 0, len(base)+len(path))
	t = append(t, base...)
	emptyBase := base == ""
	for i := 0; i < len(path); {
		c := path[i]
		if c < 0x20 || c > 0x7e {
			c = '.' // printed so, and no directory
			t = append(t, c)
			i++
			continue
		}
		atStart := len(t) == 0 || t[len(t)-1] == '/'
		switch {
		case c == '.' && atStart && strings.HasPrefix(path[i:], "../"):
			t = parent(t)
			i += 3
		case c == '.' && atStart && path[i:] == "..":
			t = parent(t)
			i += 2
		case c == '.' && atStart && strings.HasPrefix(path[i:], "./"):
			i += 2
		case c == '.' && atStart && path[i:] == ".":
			i++
		case c == '/' && (len(t) > 0 && t[len(t)-1] == '/' || len(t) == 0 && !(emptyBase && i == 0)):
			i++
		default:
			t = append(t, c)
			i++
		}
	}
	if len(t) > 1 && t[len(t)-1] == '/' {
		t = t[:len(t)-1]
	}
	return string(t)
}

// isClean tells whether cleanPath would leave an absolute path as it is.
func isClean(path string) bool {
	if path == "" || path == "/" {
		return true
	}
	if path[0] != '/' || path[len(path)-1] == '/' {
		return false
	}
	for i := 0; i+1 < len(path); i++ {
		if path[i] == '/' && (path[i+1] == '/' || path[i+1] == '.') || path[i] < 0x20 || path[i] > 0x7e {
			return false
		}
	}
	c := path[len(path)-1]
	return c >= 0x20 && c <= 0x7e
}

// parent removes the last element, keeping the slash before it.
func parent(t []byte) []byte {
	if len(t) == 1 && t[0] == '/' || len(t) == 0 {
		return t
	}
	t = t[:len(t)-1]
	for len(t) > 0 && t[len(t)-1] != '/' {
		t = t[:len(t)-1]
	}
	return t
}

// Sanitize removes what is not printable ASCII, as Falco does before it prints
// names.
func Sanitize(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] > 0x7e {
			b := append(make([]byte, 0, len(s)), s[:i]...)
			for ; i < len(s); i++ {
				if s[i] >= 0x20 && s[i] <= 0x7e {
					b = append(b, s[i])
				}
			}
			return string(b)
		}
	}
	return s
}

// Printable renders a data buffer: each byte that cannot be printed as a dot.
func Printable(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] > 0x7e {
			b := []byte(s)
			for j := i; j < len(b); j++ {
				if b[j] < 0x20 || b[j] > 0x7e {
					b[j] = '.'
				}
			}
			return string(b)
		}
	}
	return s
}

// AddrText renders a socket address: a path, or address and port.
func AddrText(a *SockAddr) string {
	switch a.Family {
	case 1:
		return Sanitize(a.Path)
	case 2, 10:
		return EndpointText(a.Src)
	}
	return "family " + itoa(int64(a.Family))
}

// TupleText renders a pair of socket addresses as fd.name shows it:
// "127.0.0.1:4000->127.0.0.1:80".
func TupleText(a *SockAddr) string {
	switch a.Family {
	case 1:
		return strconv.FormatUint(a.SrcPtr, 16) + "->" + strconv.FormatUint(a.DstPtr, 16) + " " + Sanitize(a.Path)
	case 2:
		return EndpointText(a.Src) + "->" + EndpointText(a.Dst)
	case 10:
		if isV4(a.Src.Addr()) && isV4(a.Dst.Addr()) {
			return EndpointText(v4(a.Src)) + "->" + EndpointText(v4(a.Dst))
		}
		return EndpointText(a.Src) + "->" + EndpointText(a.Dst)
	}
	return "family " + itoa(int64(a.Family))
}

// EndpointText prints address and port without brackets, as Falco does.
func EndpointText(ap netip.AddrPort) string {
	a := ap.Addr()
	if !a.IsValid() {
		a = netip.IPv4Unspecified()
	}
	return a.WithZone("").String() + ":" + strconv.Itoa(int(ap.Port()))
}

// isV4 tells whether an IPv6 address stands for an IPv4 one; all zeros counts.
func isV4(a netip.Addr) bool { return a.Is4() || a.Is4In6() || a == netip.IPv6Unspecified() }

func v4(ap netip.AddrPort) netip.AddrPort {
	a := ap.Addr()
	if a == netip.IPv6Unspecified() {
		a = netip.IPv4Unspecified()
	}
	return netip.AddrPortFrom(a.Unmap(), ap.Port())
}

func (e *Event) fdListText(list []FDPoll) string {
	var b strings.Builder
	for i, f := range list {
		if i > 0 {
			b.WriteByte(' ')
		}
		c := "?"
		if fd := e.lookupFD(f.FD); fd != nil {
			c = fd.Type.TypeChar()
		}
		b.WriteString(strconv.FormatUint(uint64(f.FD), 10))
		b.WriteByte(':')
		b.WriteString(c)
		b.WriteString(strconv.FormatUint(uint64(f.Flags), 16))
	}
	return b.String()
}

func sigSetText(set uint32) string {
	var names []string
	for i := range 32 {
		if set&(1<<i) != 0 {
			if n := SignalName(int64(i + 1)); n != "" {
				names = append(names, n)
			}
		}
	}
	return strings.Join(names, " ")
}

func flagBits(t ParamType, n int64) uint32 {
	switch t {
	case PFlags8, PEnumFlags8:
		return uint32(uint8(n))
	case PFlags16, PEnumFlags16:
		return uint32(uint16(n))
	}
	return uint32(n)
}

// FlagNames joins the names of the bits of v with "|". Of overlapping names the
// one that the table has first takes its bits: O_RDWR, not O_RDONLY|O_WRONLY.
func FlagNames(table []Flag, v uint32) string {
	var out string
	var buf []byte
	initial := v
	for _, f := range table {
		if !(f.Value == 0 && initial == 0 || f.Value != 0 && v&f.Value == f.Value && v != 0) {
			continue
		}
		v &^= f.Value
		switch {
		case out == "" && buf == nil:
			out = f.Name
		case buf == nil:
			buf = append(append(append(buf, out...), '|'), f.Name...)
		default:
			buf = append(append(buf, '|'), f.Name...)
		}
		if f.Value == initial {
			break
		}
	}
	if buf != nil {
		return string(buf)
	}
	return out
}

// enumNames joins all names of the value: AF_LOCAL|AF_UNIX.
func enumNames(table []Flag, v uint32) string {
	out := ""
	for _, f := range table {
		if f.Value != v {
			continue
		}
		if out != "" {
			out += "|"
		}
		out += f.Name
	}
	return out
}

// modeNames is like FlagNames, but ends at a name that stands for the whole mode.
func modeNames(table []Flag, v uint32) string {
	var b []byte
	add := func(n string) {
		if len(b) > 0 {
			b = append(b, '|')
		}
		b = append(b, n...)
	}
	initial := v
	for _, f := range table {
		if f.Value == initial {
			add(f.Name)
			break
		}
		if f.Value != 0 && v&f.Value == f.Value && v != 0 {
			add(f.Name)
			v &^= f.Value
		}
	}
	return string(b)
}

func (e *Event) idText(typ ParamType, id uint32) (text, resolved string) {
	if id == 1<<32-1 {
		return "-1", "<NONE>"
	}
	resolved = "<NA>"
	if e.Thread != nil && e.Thread.Process != nil {
		if n, ok := e.accountName(typ, id); ok && n != "" {
			resolved = n
		}
	}
	return itoa(int64(int32(id))), resolved
}

func (e *Event) accountName(typ ParamType, id uint32) (string, bool) {
	if typ == PGID {
		return e.Machine().Group(e.Thread.Process, id)
	}
	u, ok := e.Machine().User(e.Thread.Process, id)
	if !ok {
		return "", false
	}
	return u.Name, true
}
