// SPDX-License-Identifier: Apache-2.0

package capture

// interner gives the same string for the same bytes, so that names which come
// again and again (programs, directories, files) are not made anew for each
// event, and what the state keeps does not keep the recording's bytes.
type interner struct{ m map[string]string }

// mostStrings bounds what is remembered; then it begins anew.
const mostStrings = 1 << 16

func (i *interner) bytes(b []byte) string {
	if s, ok := i.m[string(b)]; ok {
		return s
	}
	return i.keep(string(b))
}

func (i *interner) text(s string) string {
	if known, ok := i.m[s]; ok {
		return known
	}
	return i.keep(s)
}

func (i *interner) keep(s string) string {
	if i.m == nil || len(i.m) >= mostStrings {
		i.m = make(map[string]string, 1024)
	}
	i.m[s] = s
	return s
}
