// SPDX-License-Identifier: Apache-2.0

// Package tail keeps the end of what a process writes, for the error that tells of
// its end. It imports nothing.
package tail

import (
	"io"
	"strings"
	"sync"
)

// size is how much is kept, in bytes.
const size = 8 << 10

// Writer keeps the end of what is written to it. Its zero value is ready, and its
// methods are safe for concurrent use.
type Writer struct {
	Sink io.Writer // is passed all of it, if not nil

	mu   sync.Mutex
	data []byte
}

// Write implements [io.Writer], without errors.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.Sink != nil && len(p) > 0 {
		_, _ = w.Sink.Write(p)
	}
	w.data = append(w.data, p...)
	if over := len(w.data) - size; over > 0 {
		w.data = append(w.data[:0], w.data[over:]...)
	}
	return len(p), nil
}

// String returns what is kept.
func (w *Writer) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.data)
}

// Lines returns the last lines of that, at most n.
func (w *Writer) Lines(n int) []string {
	lines := strings.Split(strings.TrimSpace(w.String()), "\n")
	return lines[max(0, len(lines)-n):]
}
