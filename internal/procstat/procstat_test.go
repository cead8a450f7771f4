// SPDX-License-Identifier: Apache-2.0

package procstat

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const bash = "4711 (a) (b) S 1 4711 4710 34816 4711 4194304 12 0 3 0 0 0 0 0 20 0 1 0 987654 8192000 77 18446744073709551615 1 1 0\n"

func TestParse(t *testing.T) {
	got, err := Parse([]byte(bash))
	want := Stat{State: 'S', PPID: 1, PGID: 4711, Session: 4710, TTY: 34816, MinFlt: 12, MajFlt: 3, Start: 987654, VSize: 8192000, RSS: 77}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if zombie, err := Parse([]byte(strings.Replace(bash, ") S ", ") Z ", 1))); err != nil || !zombie.Dead() || got.Dead() {
		t.Errorf("%+v, %v: want a dead one", zombie, err)
	}
	for _, bad := range []string{"", "4711", "4711 (x) S 1", strings.Replace(bash, "34816", "x", 1)} {
		if _, err := Parse([]byte(bad)); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(bash))
	f.Add([]byte(")"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := Parse(data); err == nil && s.State == 0 {
			t.Errorf("%q: no state", data)
		}
	})
}
