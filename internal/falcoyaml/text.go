// SPDX-License-Identifier: Apache-2.0

package falcoyaml

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// decode returns the text of a file as UTF-8, without its byte order mark. Text
// without one is taken for UTF-16 or UTF-32 where zero bytes say so. UTF-8 is
// not checked: bytes that are none stay as they are.
func decode(data []byte) []byte {
	at := func(i int) int {
		if i < len(data) {
			return int(data[i])
		}
		return -1
	}
	plain := func(i int) bool { // a byte that says nothing about the encoding
		switch at(i) {
		case -1, 0, 0xBB, 0xBF, 0xEF, 0xFE, 0xFF:
			return false
		}
		return true
	}
	const big, little = true, false
	switch {
	case at(0) == 0xEF && at(1) == 0xBB && at(2) == 0xBF:
		return data[3:]
	case at(0) == 0 && at(1) == 0 && at(2) == 0:
		return utf32(data, big)
	case at(0) == 0 && at(1) == 0 && at(2) == 0xFE && at(3) == 0xFF:
		return utf32(data[4:], big)
	case at(0) == 0 && plain(1):
		return utf16(data, big)
	case at(0) == 0xFE && at(1) == 0xFF:
		return utf16(data[2:], big)
	case at(0) == 0xFF && at(1) == 0xFE && at(2) == 0 && at(3) == 0:
		return utf32(data[4:], little)
	case at(0) == 0xFF && at(1) == 0xFE:
		return utf16(data[2:], little)
	case plain(0) && at(1) == 0 && at(2) == 0 && at(3) == 0:
		return utf32(data, little)
	case plain(0) && at(1) == 0:
		return utf16(data, little)
	}
	return data
}

// appendRune writes a code point. The one that ends files to yaml-cpp is written
// as the replacement character, and so are those that are no characters.
func appendRune(out []byte, r rune) []byte {
	if r == end {
		r = utf8.RuneError
	}
	return utf8.AppendRune(out, r)
}

func utf16(data []byte, big bool) []byte {
	var order binary.ByteOrder = binary.LittleEndian
	if big {
		order = binary.BigEndian
	}
	var out bytes.Buffer
	put := func(r rune) { out.Write(appendRune(nil, r)) }
	high := rune(-1)
	for ; len(data) >= 2; data = data[2:] {
		u := rune(order.Uint16(data))
		isLow := u >= 0xDC00 && u < 0xE000
		switch {
		case high >= 0 && isLow:
			put((high&0x3FF)<<10 | u&0x3FF + 0x10000)
			high = -1
			continue
		case high >= 0:
			put(utf8.RuneError)
			high = -1
		case isLow:
			put(utf8.RuneError)
			continue
		}
		if u >= 0xD800 && u < 0xDC00 {
			high = u
			continue
		}
		put(u)
	}
	if high >= 0 {
		put(utf8.RuneError)
	}
	return out.Bytes()
}

func utf32(data []byte, big bool) []byte {
	var order binary.ByteOrder = binary.LittleEndian
	if big {
		order = binary.BigEndian
	}
	var out []byte
	for ; len(data) >= 4; data = data[4:] {
		u := order.Uint32(data)
		if u > utf8.MaxRune {
			u = utf8.RuneError
		}
		out = appendRune(out, rune(u))
	}
	return out
}
