// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"unsafe"

	"github.com/falcotest/go-falcotest/internal/event"
)

// unsafeText is the text of bytes that never change: those of a recording. A
// stream does not use its chunks again.
func unsafeText(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// decode makes a parameter of its bytes.
func decode(p *event.Param, d *event.ParamDef, b []byte) {
	*p = event.Param{}
	switch d.Type {
	case event.PCharBuf, event.PFSPath, event.PFSRelPath:
		p.Str, p.Null = unsafeText(cstring(b)), len(b) == 0
		return
	}
	if len(b) == 0 {
		p.Null = true
		return
	}
	switch d.Type {
	case event.PByteBuf:
		p.Str = unsafeText(b)
	case event.PSockAddr:
		p.Null = !sockAddr(b, &p.Sock)
	case event.PSockTuple:
		p.Null = !sockTuple(b, &p.Sock)
	case event.PFDList:
		decodePolls(p, b)
	case event.PDynamic:
		p.Dyn = b[0]
		if int(p.Dyn) >= len(d.Dynamic) {
			p.Null = true
			return
		}
		if d.Dynamic[p.Dyn].Type == event.PByteBuf {
			p.Str = unsafeText(b[1:])
			return
		}
		p.Num = number(d.Dynamic[p.Dyn].Type, b[1:])
	default:
		p.Num = number(d.Type, b)
	}
}

// number is the value of a number as its type has it: with a sign or without.
func number(t event.ParamType, b []byte) int64 {
	switch t {
	case event.PInt16, event.PInt32, event.PInt64, event.PErrno, event.PFD, event.PPID:
		return signed(b)
	}
	return int64(unsigned(b))
}

func decodePolls(p *event.Param, b []byte) {
	if len(b) < 2 {
		p.Null = true
		return
	}
	n := min(int(le.Uint16(b)), (len(b)-2)/10)
	p.List = make([]event.FDPoll, n)
	for i := range p.List {
		at := b[2+10*i:]
		p.List[i] = event.FDPoll{FD: int64(le.Uint64(at)), Flags: uint32(int32(int16(le.Uint16(at[8:]))))}
	}
}
