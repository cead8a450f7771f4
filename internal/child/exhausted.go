// SPDX-License-Identifier: Apache-2.0

package child

import (
	"bytes"
	"errors"
)

// What the Go runtime says before it dumps all goroutines for want of something
// that is limited, and what that is, with the remedy.
var (
	errThreads = errors.New("it could start no more threads: raise the limit of processes and threads of this user (ulimit -u), or of the container (--pids-limit)")
	errMemory  = errors.New("it got no more memory: raise the limit of address space (ulimit -v), or the memory of the container")

	exhaustions = []struct {
		words []byte
		err   error
	}{
		{[]byte("runtime: failed to create new OS thread"), errThreads},
		{[]byte("runtime: out of memory"), errMemory},
		{[]byte("fatal error: runtime: cannot allocate memory"), errMemory},
		{[]byte("fatal error: failed to reserve page summary memory"), errMemory},
	}
)

// exhaustion looks in what a process writes, piece by piece, for what the Go
// runtime says when it ends for want of something.
type exhaustion struct {
	err  error
	last []byte // the end of what was written, shorter than the words
}

func (e *exhaustion) look(p []byte) {
	if e.err != nil {
		return
	}
	e.last = append(e.last, p...)
	for _, x := range exhaustions {
		if bytes.Contains(e.last, x.words) {
			e.err = x.err
			return
		}
	}
	e.last = append(e.last[:0], e.last[max(0, len(e.last)-64):]...)
}
