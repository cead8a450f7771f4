// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// ErrSameThread: two recordings tell of different threads of one number, so that they
// cannot be one.
var ErrSameThread = errors.New("two recordings have events of the same thread id")

// Merger makes one recording of several that a [Writer] wrote on one machine: the
// tables of all, each process once, then the events of one after the other. A Falco
// tells the containers of the processes in the tables only of a file's first
// section, so that recordings behind one another would not do.
type Merger struct {
	head, processes, descriptors, accounts []byte
	events                                 bytes.Buffer // compressed
	zip                                    *gzip.Writer
	told                                   map[int64]bool // threads that are in the tables
	acts                                   map[int64]bool // that have events
}

// NewMerger returns a merger of no recordings.
func NewMerger() *Merger {
	m := &Merger{told: map[int64]bool{}, acts: map[int64]bool{}}
	m.zip = gzip.NewWriter(&m.events)
	return m
}

// Add adds a recording. With [ErrSameThread] nothing of it was added.
func (m *Merger) Add(r io.Reader) error {
	s, err := newStream(r)
	if err != nil {
		return err
	}
	type block struct {
		typ   uint32
		bytes []byte
	}
	var blocks []block
	acts := map[int64]bool{}
	for {
		head, err := s.peek(8)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		typ, total := le.Uint32(head), le.Uint32(head[4:])
		if total < blockOverhead || total > maxSkippedBlock {
			return fmt.Errorf("a block of type %#x says that it is %d bytes long", typ, total)
		}
		b, err := s.take(int(total))
		if err != nil {
			return err
		}
		if eventBlockFormat(typ) == isEvent|hasCount || eventBlockFormat(typ) == isEvent|hasCount|isLarge {
			if len(b) < 8+2+eventHeaderLen {
				return errShortEvent
			}
			if tid := int64(le.Uint64(b[18:])); tid > 0 {
				if m.acts[tid] {
					return ErrSameThread
				}
				acts[tid] = true
			}
		}
		blocks = append(blocks, block{typ, b})
	}
	for tid := range acts {
		m.acts[tid] = true
	}
	first := len(m.head) == 0
	var told []int64
	for _, b := range blocks {
		body := b.bytes[8 : len(b.bytes)-4]
		switch b.typ {
		case blockSection, blockMachine, blockInterfacesV2:
			if first {
				m.head = append(m.head, b.bytes...)
			}
		case blockProcessV9:
			for len(body) >= 12 {
				n := int(le.Uint32(body))
				if n < 12 || n > len(body) {
					break // padding
				}
				if tid := int64(le.Uint64(body[4:])); !m.told[tid] {
					m.processes = append(m.processes, body[:n]...)
					told = append(told, tid)
				}
				body = body[n:]
			}
		case blockFDsV2:
			if len(body) < 8 {
				continue
			}
			if tid := int64(le.Uint64(body)); !m.told[tid] {
				m.descriptors = append(m.descriptors, b.bytes...)
			}
		case blockUsersV2:
			m.accounts = append(m.accounts, b.bytes...)
		default:
			if _, err := m.zip.Write(b.bytes); err != nil {
				return err
			}
		}
	}
	for _, tid := range told {
		m.told[tid] = true
	}
	return nil
}

// WriteTo writes the recording. Nothing may be added after it.
func (m *Merger) WriteTo(dst io.Writer) (int64, error) {
	n := &counting{w: dst}
	zip := gzip.NewWriter(n)
	w := &Writer{}
	w.writeTo(io.Discard)
	tables := &bytes.Buffer{}
	tables.Write(m.head)
	w.block(blockProcessV9, func(b []byte) []byte { return append(b, m.processes...) })
	tables.Write(w.buf)
	tables.Write(m.descriptors)
	tables.Write(m.accounts)
	_, err := zip.Write(tables.Bytes())
	if err = errors.Join(err, zip.Close(), m.zip.Close()); err != nil {
		return n.n, err
	}
	_, err = m.events.WriteTo(n)
	return n.n, err
}

type counting struct {
	w io.Writer
	n int64
}

func (c *counting) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}
