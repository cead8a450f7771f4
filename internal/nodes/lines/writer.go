// SPDX-License-Identifier: Apache-2.0

package lines

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"sync"
	"unicode/utf8"
)

// mark begins a line of the run.
func mark(run string) string { return "falcotest-node/" + run + " " }

// longest is how much of a message a line holds, in bytes.
const longest = 8 << 10

// The ends of the head of a line.
const (
	whole = "." // the message ends with this line
	more  = "+" // the next line goes on
)

// Writer writes messages as lines. Its methods are safe for concurrent use.
type Writer struct {
	mu  sync.Mutex
	to  io.Writer
	run string
	seq int
}

// NewWriter returns a writer of the lines of a run.
func NewWriter(to io.Writer, run string) *Writer { return &Writer{to: to, run: run} }

// Write writes a message, each line by one call of the writer's Write.
func (w *Writer) Write(m *Message) error {
	data, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("writing a line for the driver: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		part, rest := cut(data)
		end := whole
		if len(rest) > 0 {
			end = more
		}
		w.seq++
		line := fmt.Appendf(nil, "%s%d %08x %s ", mark(w.run), w.seq, checksum(w.seq, end, part), end)
		if _, err := w.to.Write(append(append(line, part...), '\n')); err != nil {
			return fmt.Errorf("writing a line for the driver: %w", err)
		}
		if data = rest; end == whole {
			return nil
		}
	}
}

// cut divides data after at most so many bytes as fit on a line, between characters.
func cut(data []byte) (part, rest []byte) {
	if len(data) <= longest {
		return data, nil
	}
	n := longest
	for n > longest-utf8.UTFMax && !utf8.RuneStart(data[n]) {
		n--
	}
	return data[:n], data[n:]
}

func checksum(seq int, end string, part []byte) uint32 {
	sum := crc32.ChecksumIEEE(fmt.Appendf(nil, "%d %s ", seq, end))
	return crc32.Update(sum, crc32.IEEETable, part)
}
