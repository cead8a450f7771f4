// SPDX-License-Identifier: Apache-2.0

package outputs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
)

// fileSource follows a file that a Falco appends JSON lines to (file_output),
// through rotation by renaming and by truncating.
type fileSource struct {
	url    *url.URL
	path   string
	hub    *hub
	cancel context.CancelFunc
	done   chan struct{}

	f      *os.File // nil while the file does not exist
	offset int64
	line   []byte // what has been read of a line whose end has not come
	skip   bool   // the line is too long: drop it up to its end
	fault  string // the last error told, so that it is told once
}

func openFile(u *url.URL, h *hub) (*fileSource, error) {
	s := &fileSource{url: u, path: filepath.FromSlash(u.Path), hub: h, done: make(chan struct{})}
	f, err := os.Open(s.path)
	switch {
	case err == nil:
		info, err := f.Stat()
		if err == nil && info.IsDir() {
			err = errors.New("it is a folder; the URL must name the file of file_output.filename")
		}
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("following the alerts in %s: %w", s.path, err)
		}
		// What is in it now is older than this run, up to the last whole line.
		s.f = f
		if s.offset, err = lastLine(f, info.Size(), int64(h.opts.MaxAlert)); err != nil {
			f.Close()
			return nil, fmt.Errorf("following the alerts in %s: %w", s.path, err)
		}
	case errors.Is(err, os.ErrNotExist):
		// Falco makes it with its first alert.
		if _, err := os.Stat(filepath.Dir(s.path)); err != nil {
			return nil, fmt.Errorf("following the alerts in %s: its folder: %w", s.path, err)
		}
	default:
		return nil, fmt.Errorf("following the alerts in %s: %w", s.path, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	h.emit(Event{Kind: Connected})
	go s.run(ctx)
	return s, nil
}

// lastLine is the offset after the last newline, looked for in the last limit
// bytes: a line being written as this run starts is read whole.
func lastLine(f *os.File, size, limit int64) (int64, error) {
	const block = 64 << 10
	for end := size; end > 0 && size-end < limit; {
		n := min(end, block)
		b := make([]byte, n)
		if _, err := f.ReadAt(b, end-n); err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
			return end - n + int64(i) + 1, nil
		}
		end -= n
	}
	if size > limit {
		return size, nil
	}
	return 0, nil
}

func (s *fileSource) address() string { return s.url.String() }
func (s *fileSource) version() string { return "" }

func (s *fileSource) close() error {
	s.cancel()
	<-s.done
	return nil
}

func (s *fileSource) run(ctx context.Context) {
	defer close(s.done)
	defer func() {
		if s.f != nil {
			s.f.Close()
		}
	}()
	for {
		s.look()
		if !s.hub.pace.wait(ctx) {
			return
		}
	}
}

// look reads what is new.
func (s *fileSource) look() {
	info, err := os.Stat(s.path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.complain(err)
		return
	}
	if s.f != nil {
		s.read()
		if err != nil {
			return // moved away, and not made again yet: it may still grow
		}
		mine, err := s.f.Stat()
		if err == nil && os.SameFile(mine, info) {
			return
		}
		// Another file has its name. What was written before the change has
		// been read above; what came between the two looks is read now.
		s.read()
		if len(s.line) > 0 {
			s.hub.lost("%s was rotated in the middle of a line of %d bytes", s.path, len(s.line))
		}
		s.f.Close()
		s.f, s.offset, s.line, s.skip = nil, 0, nil, false
	}
	if err != nil {
		return
	}
	f, err := os.Open(s.path)
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) {
			s.complain(err)
		}
		return
	}
	s.f = f
	s.read()
}

func (s *fileSource) complain(err error) {
	if err.Error() != s.fault {
		s.fault = err.Error()
		s.hub.lost("following the alerts in %s: %w", s.path, err)
	}
}

// read reads to the end of the open file.
func (s *fileSource) read() {
	info, err := s.f.Stat()
	if err != nil {
		s.complain(err)
		return
	}
	if info.Size() < s.offset {
		s.hub.lost("%s was truncated; lines may have been lost", s.path)
		s.offset, s.line, s.skip = 0, nil, false
	}
	var buf [64 << 10]byte
	for {
		n, err := s.f.ReadAt(buf[:], s.offset)
		s.offset += int64(n)
		s.feed(buf[:n])
		if err != nil {
			if !errors.Is(err, io.EOF) {
				s.complain(err)
			}
			return
		}
	}
}

// feed takes bytes of the file and hands over the alerts of whole lines.
func (s *fileSource) feed(b []byte) {
	for len(b) > 0 {
		end := bytes.IndexByte(b, '\n')
		part := b
		if end >= 0 {
			part = b[:end]
		}
		if !s.skip && len(s.line)+len(part) > s.hub.opts.MaxAlert {
			s.hub.lost("a line of %s is longer than %d bytes", s.path, s.hub.opts.MaxAlert)
			s.skip, s.line = true, nil
		}
		if !s.skip {
			s.line = append(s.line, part...)
		}
		if end < 0 {
			return
		}
		if line := bytes.TrimSpace(s.line); !s.skip && len(line) > 0 {
			if a, err := ParseJSON(line); err != nil {
				s.hub.lost("a line of %s cannot be read: %w", s.path, err)
			} else {
				s.hub.received(a)
			}
		}
		s.line, s.skip = s.line[:0], false
		b = b[end+1:]
	}
}
