// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

var le = binary.LittleEndian

// stream gives a recording's bytes, decompressed. What it returns stays valid:
// strings of events point into it, so that a chunk lives for as long as anything
// does that refers to it.
type stream struct {
	src    io.Reader
	packed *counter // the compressed source, nil when it is not compressed
	chunk  []byte   // chunk[pos:end] has been read and not been taken
	pos    int
	end    int
	offset int64 // of chunk[pos]
	err    error // of src, kept until all that came before is taken
}

const chunkSize = 256 << 10

// counter counts what is read of a compressed recording.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

// newStream looks at the first bytes: recordings are gzipped or not.
func newStream(r io.Reader) (*stream, error) {
	s := &stream{src: r, chunk: make([]byte, chunkSize)}
	magic, err := s.peek(2)
	if err != nil || magic[0] != 0x1f || magic[1] != 0x8b {
		return s, nil
	}
	packed := &counter{r: io.MultiReader(newBytesReader(s.chunk[s.pos:s.end]), r)}
	zip, err := gzip.NewReader(packed)
	if err != nil {
		return nil, fmt.Errorf("decompressing the recording: %w", noEOF(err))
	}
	return &stream{src: zip, packed: packed, chunk: make([]byte, chunkSize)}, nil
}

type bytesReader struct{ b []byte }

func newBytesReader(b []byte) *bytesReader { return &bytesReader{append([]byte(nil), b...)} }

func (r *bytesReader) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.b)
	r.b = r.b[n:]
	return n, nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// peek returns the next n bytes without taking them. At the end of the
// recording the error is io.EOF when nothing is left, and ErrTruncated when
// something is.
func (s *stream) peek(n int) ([]byte, error) {
	if s.end-s.pos >= n {
		return s.chunk[s.pos : s.pos+n], nil
	}
	if s.pos+n > len(s.chunk) {
		next := make([]byte, max(chunkSize, n))
		s.end = copy(next, s.chunk[s.pos:s.end])
		s.chunk, s.pos = next, 0
	}
	for s.end-s.pos < n {
		if s.err != nil {
			return nil, s.failed()
		}
		k, err := s.src.Read(s.chunk[s.end:])
		s.end += k
		s.err = err
		if s.packed != nil && s.expands() {
			return nil, ErrBomb
		}
	}
	return s.chunk[s.pos : s.pos+n], nil
}

// expands tells whether the recording is far larger than its compressed form
// can explain. Recordings expand five to thirty times.
func (s *stream) expands() bool {
	const suspicious, ratio = 64 << 20, 300
	read := s.offset + int64(s.end-s.pos)
	return read > suspicious && read > ratio*s.packed.n
}

func (s *stream) failed() error {
	switch {
	case errors.Is(s.err, io.EOF) && s.pos == s.end:
		return io.EOF
	case errors.Is(s.err, io.EOF), errors.Is(s.err, io.ErrUnexpectedEOF):
		return ErrTruncated
	}
	return fmt.Errorf("reading the recording: %w", s.err)
}

// take returns the next n bytes, where fewer are an error.
func (s *stream) take(n int) ([]byte, error) {
	b, err := s.peek(n)
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = ErrTruncated
		}
		return nil, err
	}
	s.pos += n
	s.offset += int64(n)
	return b, nil
}

// skip passes over n bytes.
func (s *stream) skip(n int64) error {
	for n > 0 {
		k := int(min(n, chunkSize))
		if have := s.end - s.pos; have > 0 {
			k = int(min(n, int64(have)))
		}
		if _, err := s.take(k); err != nil {
			return err
		}
		n -= int64(k)
	}
	return nil
}

// Reader reads a recording block by block. It is not safe for concurrent use.
type Reader struct {
	s      *stream
	events uint64 // that were given
	began  bool   // a section header has been read

	// Tables receives what is not an event. Nil ignores it.
	tables tables

	conv converter
}

// tables receives the tables of a recording.
type tables interface {
	section() // begins: what was known before is of another recording
	machine(machineInfo)
	process(*processEntry)
	fd(tid int64, e *fdEntry)
	iface(interfaceEntry)
	account(accountEntry)
	tablesEnd() // the next is an event
}

// NewReader returns a reader of the recording, which may be gzipped. It reads
// the section header.
func newReader(r io.Reader, t tables) (*Reader, error) {
	s, err := newStream(r)
	if err != nil {
		return nil, &Error{Err: err}
	}
	rd := &Reader{s: s, tables: t}
	rd.conv.init()
	head, err := s.peek(4)
	switch {
	case errors.Is(err, io.EOF):
		return nil, &Error{Err: ErrEmpty}
	case err != nil && !errors.Is(err, ErrTruncated):
		return nil, rd.fail(err)
	case err != nil || le.Uint32(head) != blockSection:
		return nil, rd.fail(ErrNotCapture)
	}
	return rd, nil
}

func (r *Reader) fail(err error) error {
	return &Error{Offset: r.s.offset, Events: r.events, Err: err}
}

// next reads up to the next event and puts it into rec. At the recording's end
// the error is io.EOF.
func (r *Reader) next(rec *record) error {
	inTables := !r.began
	for {
		start := r.s.offset
		head, err := r.s.peek(8)
		if errors.Is(err, io.EOF) {
			if r.events == 0 {
				return r.fail(ErrEmpty)
			}
			return io.EOF
		}
		if err != nil {
			return r.fail(err)
		}
		typ, total := le.Uint32(head), le.Uint32(head[4:])
		if total < blockOverhead {
			return r.fail(fmt.Errorf("a block of type %#x says that it is %d bytes long", typ, total))
		}
		if f := eventBlockFormat(typ); f != 0 {
			if inTables {
				r.tables.tablesEnd()
				inTables = false
			}
			keep, err := r.event(rec, f, typ, total)
			if err != nil {
				return r.fail(err)
			}
			if keep {
				return nil
			}
			continue
		}
		inTables = true
		if err := r.table(typ, total); err != nil {
			return r.fail(fmt.Errorf("block of type %#x at offset %d: %w", typ, start, err))
		}
	}
}

// The formats of event blocks.
const (
	hasFlags = 1 << iota
	hasCount // of parameters
	isLarge
	isEvent
)

func eventBlockFormat(typ uint32) int {
	switch typ {
	case blockEvent, blockEventInt:
		return isEvent
	case blockEventFlags:
		return isEvent | hasFlags
	case blockEventV2:
		return isEvent | hasCount
	case blockEventFlagsV2:
		return isEvent | hasFlags | hasCount
	case blockEventV2Large:
		return isEvent | hasCount | isLarge
	case blockEventFlagsV2Large:
		return isEvent | hasFlags | hasCount | isLarge
	}
	return 0
}

// event reads an event's block. It returns false for events that nobody sees.
func (r *Reader) event(rec *record, format int, typ, total uint32) (bool, error) {
	limit := uint32(1<<16 + 8)
	if format&isLarge != 0 {
		limit = maxEventBlock
	}
	if total > limit {
		return false, fmt.Errorf("an event of %d bytes, which is more than %d", total, limit)
	}
	block, err := r.s.take(int(total))
	if err != nil {
		return false, err
	}
	if trailer := le.Uint32(block[total-4:]); trailer != total {
		return false, fmt.Errorf("an event's block begins with the length %d and ends with %d", total, trailer)
	}
	b := block[8 : total-4]
	if len(b) < 6 {
		return false, errShortEvent
	}
	rec.cpu = int16(le.Uint16(b))
	b = b[2:]
	if format&hasFlags != 0 {
		b = b[4:]
	}
	if err := rec.parse(b, format&hasCount != 0); err != nil {
		return false, err
	}
	keep, err := r.conv.convert(rec)
	if keep {
		r.events++
	}
	return keep, err
}

var errShortEvent = errors.New("an event is shorter than its header says")
