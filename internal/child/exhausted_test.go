// SPDX-License-Identifier: Apache-2.0

package child

import "testing"

func TestExhaustion(t *testing.T) {
	for _, test := range []struct {
		pieces []string
		want   error
	}{
		{[]string{"some output\n", "more\n"}, nil},
		{[]string{"out\nruntime: failed to create new OS thread (have 7 already; errno=11)\nfatal error: newosproc\n"}, errThreads},
		{[]string{"runtime: failed to create ", "new OS thread (have ", "7"}, errThreads},
		{[]string{"runtime: out of memory: cannot allocate 4194304-byte block (0 in use)\n", "fatal error: out of memory"}, errMemory},
		{[]string{"fatal error: failed to reserve page summary memory\n"}, errMemory},
	} {
		var e exhaustion
		for _, p := range test.pieces {
			e.look([]byte(p))
		}
		if e.err != test.want {
			t.Errorf("%q: got %v, want %v", test.pieces, e.err, test.want)
		}
	}
}
