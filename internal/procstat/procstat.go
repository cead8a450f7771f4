// SPDX-License-Identifier: Apache-2.0

// Package procstat reads /proc/PID/stat, whose fields proc_pid_stat(5) lists. It
// imports nothing; the file's content enters and leaves as a [Stat].
package procstat

import (
	"bytes"
	"fmt"
	"strconv"
)

// Stat is what the file tells of a process or a thread.
type Stat struct {
	State          byte
	PPID, PGID     int64
	Session        int64
	TTY            uint32
	MinFlt, MajFlt uint64
	Start          uint64 // in clock ticks since boot: with its number, it names a process for good
	VSize          uint64 // in bytes
	RSS            uint64 // in pages
}

// Dead tells whether it has ended, and only waits for its parent to notice.
func (s *Stat) Dead() bool { return s.State == 'Z' || s.State == 'X' }

// Parse reads the file's content.
func Parse(data []byte) (s Stat, err error) {
	// The second field, in parentheses, may hold anything.
	i := bytes.LastIndexByte(data, ')')
	f := bytes.Fields(data[i+1:])
	if i < 0 || len(f) < 22 {
		return s, fmt.Errorf("reading a process's stat %.80q: it has %d fields behind the name, want 22", data, len(f))
	}
	number := func(i int) uint64 {
		n, e := strconv.ParseInt(string(f[i]), 10, 64)
		if e != nil {
			u, e := strconv.ParseUint(string(f[i]), 10, 64)
			if e != nil && err == nil {
				err = fmt.Errorf("reading a process's stat: %w", e)
			}
			return u
		}
		return uint64(n)
	}
	s = Stat{
		State: f[0][0], PPID: int64(number(1)), PGID: int64(number(2)), Session: int64(number(3)), TTY: uint32(number(4)),
		MinFlt: number(7), MajFlt: number(9), Start: number(19), VSize: number(20), RSS: number(21),
	}
	return s, err
}
