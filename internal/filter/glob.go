// SPDX-License-Identifier: Apache-2.0

package filter

import "strings"

// glob matches as fnmatch(3) does without flags in the C locale: '*' also
// matches '/', and a leading dot is nothing special. fold ignores the case of
// ASCII letters.
func glob(pattern, s string, fold bool) bool {
	p, i := 0, 0
	star, mark := -1, 0 // where to go on when the last '*' takes one byte more
	for i < len(s) {
		if p < len(pattern) && pattern[p] == '*' {
			star, mark = p, i
			p++
			continue
		}
		if n := globByte(pattern[p:], s[i], fold); n > 0 {
			p += n
			i++
			continue
		}
		if star < 0 {
			return false
		}
		mark++
		p, i = star+1, mark
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// globByte matches the first element of the pattern, which is not '*', with c.
// It returns the element's length, or 0 when it does not match.
func globByte(pattern string, c byte, fold bool) int {
	if pattern == "" {
		return 0
	}
	switch pattern[0] {
	case '?':
		return 1
	case '\\':
		if len(pattern) < 2 {
			return 0
		}
		if same(pattern[1], c, fold) {
			return 2
		}
		return 0
	case '[':
		if n, ok, closed := globSet(pattern, c, fold); closed {
			if ok {
				return n
			}
			return 0
		}
	}
	if same(pattern[0], c, fold) {
		return 1
	}
	return 0
}

// globSet matches a bracket expression and returns its length, whether c is in
// it, and whether it is one at all: without a closing bracket, '[' stands for
// itself.
func globSet(pattern string, c byte, fold bool) (n int, match, closed bool) {
	i := 1
	negate := i < len(pattern) && (pattern[i] == '!' || pattern[i] == '^')
	if negate {
		i++
	}
	for first := true; ; first = false {
		if i >= len(pattern) {
			return 0, false, false
		}
		if pattern[i] == ']' && !first {
			return i + 1, match != negate, true
		}
		if strings.HasPrefix(pattern[i:], "[:") {
			if end := strings.Index(pattern[i+2:], ":]"); end >= 0 {
				match = match || inClass(pattern[i+2:i+2+end], c, fold)
				i += end + 4
				continue
			}
		}
		lo := pattern[i]
		if lo == '\\' && i+1 < len(pattern) {
			i++
			lo = pattern[i]
		}
		i++
		hi := lo
		if i+1 < len(pattern) && pattern[i] == '-' && pattern[i+1] != ']' {
			hi = pattern[i+1]
			i += 2
			if hi == '\\' && i < len(pattern) {
				hi = pattern[i]
				i++
			}
		}
		if lo <= c && c <= hi || fold && (lo <= lower(c) && lower(c) <= hi || lo <= upper(c) && upper(c) <= hi) {
			match = true
		}
	}
}

func inClass(class string, c byte, fold bool) bool {
	isLower, isUpper := c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z'
	isDigit := c >= '0' && c <= '9'
	switch class {
	case "alpha":
		return isLower || isUpper
	case "digit":
		return isDigit
	case "alnum":
		return isLower || isUpper || isDigit
	case "lower":
		return isLower || fold && isUpper
	case "upper":
		return isUpper || fold && isLower
	case "space":
		return isSpace(c)
	case "blank":
		return c == ' ' || c == '\t'
	case "cntrl":
		return c < ' ' || c == 0x7f
	case "print":
		return c >= ' ' && c < 0x7f
	case "graph":
		return c > ' ' && c < 0x7f
	case "punct":
		return c > ' ' && c < 0x7f && !isLower && !isUpper && !isDigit
	case "xdigit":
		return isDigit || lower(c) >= 'a' && lower(c) <= 'f'
	}
	return false
}

func same(a, b byte, fold bool) bool { return a == b || fold && lower(a) == lower(b) }

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c | 0x20
	}
	return c
}

func upper(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c &^ 0x20
	}
	return c
}

// containsFold tells whether s contains sub, in any case of ASCII letters. sub
// must be in lower case.
func containsFold(s, sub string) bool {
	if sub == "" {
		return true
	}
	for i := 0; i+len(sub) <= len(s); i++ {
		if lower(s[i]) != sub[0] {
			continue
		}
		k := 1
		for k < len(sub) && lower(s[i+k]) == sub[k] {
			k++
		}
		if k == len(sub) {
			return true
		}
	}
	return false
}

func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		b[i] = lower(c)
	}
	return string(b)
}
