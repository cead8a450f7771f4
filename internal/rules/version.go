// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// EngineVersion is the version of Falco's rules engine that this package and
// the built-in engine implement, that of Falco 0.43.
const EngineVersion = "0.58.0"

type version struct{ major, minor, patch uint64 }

// parseVersion reads x.y.z as sscanf does: blanks and a sign may stand before each
// number, one that does not fit is cut to 32 bits, and what follows z is not
// looked at.
func parseVersion(s string) (version, bool) {
	var v version
	for i, p := range []*uint64{&v.major, &v.minor, &v.patch} {
		s = strings.TrimLeft(s, " \t\n\v\f\r")
		negative := strings.HasPrefix(s, "-")
		if negative || strings.HasPrefix(s, "+") {
			s = s[1:]
		}
		n := 0
		for n < len(s) && s[n] >= '0' && s[n] <= '9' {
			n++
		}
		u, err := strconv.ParseUint(s[:n], 10, 64) // the largest there is, where it does not fit
		if n == 0 || err != nil && !errors.Is(err, strconv.ErrRange) {
			return v, false
		}
		if negative && err == nil {
			u = -u
		}
		u = uint64(uint32(u))
		*p, s = u, s[n:]
		if i < 2 {
			rest, ok := strings.CutPrefix(s, ".")
			if !ok {
				return v, false
			}
			s = rest
		}
	}
	return v, true
}

func (v version) String() string { return fmt.Sprintf("%d.%d.%d", v.major, v.minor, v.patch) }

func (v version) less(w version) bool {
	if v.major != w.major {
		return v.major < w.major
	}
	if v.minor != w.minor {
		return v.minor < w.minor
	}
	return v.patch < w.patch
}

// satisfies tells whether v does where want is required.
func (v version) satisfies(want version) bool { return v.major == want.major && !v.less(want) }
