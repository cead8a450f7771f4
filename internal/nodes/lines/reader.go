// SPDX-License-Identifier: Apache-2.0

package lines

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrGap is wrapped by the error of [Reader.Line] when a line is missing before it, or
// was damaged. The reader stands where it stood: it can be given the log from an
// earlier place again.
var ErrGap = errors.New("a line of the pod's log is missing")

// largest bounds a message, in bytes, so that a log cannot fill the memory.
const largest = 64 << 20

// Reader reads the lines of a run. It may be given lines that it knows already: a log
// may be read again from any place. It is not safe for concurrent use.
type Reader struct {
	mark  string
	seq   int    // of the latest line that was taken
	part  []byte // of a message that goes on
	ended bool
}

// NewReader returns a reader of the lines of a run.
func NewReader(run string) *Reader { return &Reader{mark: mark(run)} }

// Ended tells whether the last message has come.
func (r *Reader) Ended() bool { return r.ended }

// Line takes a line of the log, without what ends it. It returns the message that the
// line completes, if it does, and what of it is the pod's own output.
func (r *Reader) Line(line []byte) (m *Message, output string, err error) {
	before, rest, ok := bytes.Cut(line, []byte(r.mark))
	output = strings.TrimRight(string(before), "\r")
	if !ok {
		return nil, output, nil
	}
	head := bytes.SplitN(bytes.TrimSuffix(rest, []byte("\r")), []byte(" "), 4)
	seq := 0
	if len(head) == 4 {
		seq, _ = strconv.Atoi(string(head[0]))
	}
	if seq <= 0 {
		return nil, output, fmt.Errorf("after line %d: %w", r.seq, ErrGap)
	}
	if seq <= r.seq || r.ended {
		return nil, output, nil // it is known
	}
	end, part := string(head[2]), head[3]
	sum, err := strconv.ParseUint(string(head[1]), 16, 32)
	if err != nil || seq != r.seq+1 || uint32(sum) != checksum(seq, end, part) {
		return nil, output, fmt.Errorf("after line %d: %w", r.seq, ErrGap)
	}
	if len(r.part)+len(part) > largest {
		return nil, output, fmt.Errorf("line %d: a message of more than %d bytes", seq, largest)
	}
	r.seq = seq
	r.part = append(r.part, part...)
	if end != whole {
		return nil, output, nil
	}
	m = &Message{}
	err = json.Unmarshal(r.part, m)
	r.part = nil
	if err != nil {
		return nil, output, fmt.Errorf("line %d: %w", seq, err)
	}
	r.ended = m.End != nil
	return m, output, nil
}
