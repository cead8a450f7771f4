// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"net/netip"
	"strconv"
	"strings"
)

var typeNames = [...]string{
	CharBuf: "CHARBUF", ByteBuf: "BYTEBUF", Bool: "BOOL",
	Int8: "INT8", Int16: "INT16", Int32: "INT32", Int64: "INT64",
	Uint8: "UINT8", Uint16: "UINT16", Uint32: "UINT32", Uint64: "UINT64",
	Double: "DOUBLE", Port: "PORT", AbsTime: "ABSTIME", RelTime: "RELTIME",
	IPAddr: "IPADDR", IPNet: "IPNET", Dynamic: "DYNAMIC",
}

// String is the type's name in `falco --list`.
func (t Type) String() string {
	if int(t) < len(typeNames) && typeNames[t] != "" {
		return typeNames[t]
	}
	return "type " + strconv.Itoa(int(t))
}

// ParseType returns the type that `falco --list` calls name. The types of
// parameters, which some fields have, are known as well.
func ParseType(name string) (Type, bool) {
	for t, n := range typeNames {
		if n == name && n != "" {
			return Type(t), true
		}
	}
	switch name {
	case "FSPATH", "FSRELPATH":
		return CharBuf, true
	case "ERRNO", "FD", "PID":
		return Int64, true
	case "FLAGS8", "ENUMFLAGS8", "SIGTYPE", "L4PROTO":
		return Uint8, true
	case "FLAGS16", "ENUMFLAGS16", "SYSCALLID":
		return Uint16, true
	case "FLAGS32", "ENUMFLAGS32", "MODE", "UID", "GID":
		return Uint32, true
	}
	return 0, false
}

func isString(t Type) bool { return t == CharBuf || t == ByteBuf }

func isUnsigned(t Type) bool {
	return t >= Uint8 && t <= Uint64 || t == Port || t == AbsTime || t == RelTime
}

func isNumber(t Type) bool { return t >= Int8 && t <= RelTime }

// Text renders a value of a type as Falco prints it in outputs.
func (v *Value) Text(t Type, list bool) string {
	if list {
		var b strings.Builder
		b.WriteByte('(')
		for i := range v.List {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(v.List[i].Text(t, false))
		}
		b.WriteByte(')')
		return b.String()
	}
	switch {
	case v.Unknown != nil:
		return "<unknown>"
	case isString(t):
		return v.Str
	case t == Bool:
		return strconv.FormatBool(v.Num != 0)
	case t == Double:
		return strconv.FormatFloat(v.Float, 'f', 1, 64)
	case t == IPAddr || t == IPNet:
		if v.Addr == (netip.Addr{}) {
			return "<NA>"
		}
		return v.Addr.String()
	case isUnsigned(t):
		return strconv.FormatUint(uint64(v.Num), 10)
	}
	return strconv.FormatInt(v.Num, 10)
}

// supports tells whether checks of fields of the type may use the operator.
func supports(t Type, list bool, op Op) bool {
	switch op {
	case OpExists, OpIn, OpIntersects:
		if !list {
			return true
		}
		switch t {
		case CharBuf, Uint64, RelTime, AbsTime, Bool, IPAddr, IPNet:
			return true
		}
		return op == OpExists
	}
	if list {
		return false
	}
	switch op {
	case OpEq, OpNe:
		return true
	case OpLt, OpLe, OpGt, OpGe:
		return t == CharBuf || isNumber(t)
	case OpContains, OpStartsWith, OpEndsWith:
		return isString(t)
	case OpBContains, OpBStartsWith:
		return t == ByteBuf
	}
	return t == CharBuf // icontains, glob, iglob, regex, pmatch
}

// kindOf names the group of types that decides about operators.
func kindOf(t Type, list bool) string {
	switch {
	case list:
		return "list"
	case t == CharBuf:
		return "string"
	case t == ByteBuf:
		return "buffer"
	case t == Bool:
		return "boolean"
	case t == IPAddr || t == IPNet:
		return "address and network"
	}
	return "numeric"
}
