// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"encoding/base64"
	"strings"
	"unsafe"
)

// transformType returns the type that a transformer makes of its argument's,
// and whether it takes that one.
func transformType(name string, t Type, list bool) (Type, bool, bool) {
	switch name {
	case "tolower", "toupper", "basename":
		return t, list, t == CharBuf
	case "b64":
		return t, list, isString(t)
	case "len":
		return Uint64, false, list || isString(t)
	}
	return t, list, false
}

// transform applies a transformer to a value. Strings that it makes lie in buf,
// which is used again for the next event.
func transform(name string, list bool, v *Value, buf *[]byte) bool {
	if name == "len" {
		n := len(v.Str)
		if list {
			n = len(v.List)
		}
		*v = Value{Num: int64(n)}
		return true
	}
	if list {
		out := make([]Value, len(v.List))
		for i := range v.List {
			out[i] = v.List[i]
			if out[i].Unknown == nil && !transform(name, false, &out[i], new([]byte)) {
				return false
			}
		}
		v.List = out
		return true
	}
	switch name {
	case "basename":
		v.Str = v.Str[strings.LastIndexByte(v.Str, '/')+1:]
		return true
	case "tolower", "toupper":
		b := append((*buf)[:0], v.Str...)
		for i, c := range b {
			if name == "tolower" {
				b[i] = lower(c)
			} else {
				b[i] = upper(c)
			}
		}
		*buf = b
	case "b64":
		in := strings.TrimRight(v.Str, "=")
		n := base64.RawStdEncoding.DecodedLen(len(in))
		if cap(*buf) < n {
			*buf = make([]byte, n)
		}
		b := (*buf)[:n]
		n, err := base64.RawStdEncoding.Decode(b, unsafe.Slice(unsafe.StringData(in), len(in)))
		if err != nil {
			return false
		}
		*buf = b[:n]
	}
	v.Str = unsafe.String(unsafe.SliceData(*buf), len(*buf))
	return true
}
