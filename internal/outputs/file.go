// SPDX-License-Identifier: Apache-2.0

package outputs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"time"
)

// How often a file is looked at for more.
const (
	lookWhilePending = 2 * time.Millisecond
	lookWhileIdle    = 100 * time.Millisecond
)

// openFile follows a file of JSON lines from its present end: Falco's
// file_output, or its standard output redirected. A file that is replaced or
// truncated is read from its start.
func (s *Subscription) openFile(life context.Context, u *url.URL, opts Options) error {
	if u.Host != "" || u.Path == "" {
		return errors.New("want file:///path/of/file, with three slashes")
	}
	f, err := os.Open(u.Path)
	if err != nil {
		return fmt.Errorf("%w: is Falco's file_output enabled, with json_output: true?", err)
	}
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		f.Close()
		return fmt.Errorf("%s is not a regular file", u.Path)
	}
	if _, err := f.Seek(0, io.SeekEnd); err != nil {
		f.Close()
		return err
	}
	t := &tail{s: s, path: u.Path, f: f, limit: opts.maxBody()}
	s.done.Add(1)
	go func() {
		defer s.done.Done()
		defer func() { t.f.Close() }()
		t.follow(life)
	}()
	return nil
}

type tail struct {
	s     *Subscription
	path  string
	f     *os.File
	limit int
	part  []byte // a line whose end has not been written yet
	skip  bool   // the rest of a line that is too long
}

func (t *tail) follow(life context.Context) {
	buf := make([]byte, 64<<10)
	for {
		n, err := t.f.Read(buf)
		t.take(buf[:n])
		if n > 0 {
			continue
		}
		if err != nil && err != io.EOF {
			t.s.gap(fmt.Errorf("reading %s: %w", t.path, err))
		}
		if t.rotated() {
			continue
		}
		every := lookWhileIdle
		if t.s.pending.Load() > 0 {
			every = lookWhilePending
		}
		timer := time.NewTimer(every)
		select {
		case <-timer.C:
		case <-t.s.wake:
			timer.Stop()
		case <-life.Done():
			timer.Stop()
			return
		}
	}
}

// rotated goes over to the file that has taken the path, or back to the start
// of one that was truncated. It tells whether there is something to read.
func (t *tail) rotated() bool {
	open, err := t.f.Stat()
	if err != nil {
		return false
	}
	at, err := t.f.Seek(0, io.SeekCurrent)
	if err != nil {
		return false
	}
	if open.Size() < at {
		t.lost("was truncated")
		t.f.Seek(0, io.SeekStart)
		return true
	}
	now, err := os.Stat(t.path)
	if err != nil || os.SameFile(open, now) {
		return false
	}
	next, err := os.Open(t.path)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			t.s.gap(fmt.Errorf("following %s: %w", t.path, err))
		}
		return false
	}
	// The old file may have grown between the last read and its replacement.
	if rest, err := io.ReadAll(t.f); err == nil {
		t.take(rest)
	}
	t.lost("was rotated")
	t.f.Close()
	t.f = next
	return true
}

// lost drops a line whose end will not come.
func (t *tail) lost(why string) {
	if len(t.part) > 0 || t.skip {
		t.s.gap(fmt.Errorf("%s %s in the middle of an alert", t.path, why))
	}
	t.part, t.skip = nil, false
}

func (t *tail) take(b []byte) {
	for len(b) > 0 {
		line, rest, complete := bytes.Cut(b, []byte{'\n'})
		b = rest
		if !t.skip {
			t.part = append(t.part, line...)
		}
		if len(t.part) > t.limit {
			t.s.gap(fmt.Errorf("a line of %s is longer than %d bytes", t.path, t.limit))
			t.part, t.skip = nil, true
		}
		if !complete {
			return
		}
		if !t.skip {
			t.line(t.part)
		}
		t.part, t.skip = t.part[:0], false
	}
}

// line takes one line. Lines that are not JSON objects are Falco's own log, in
// a redirected standard output.
func (t *tail) line(b []byte) {
	b = bytes.TrimSpace(b)
	if len(b) == 0 || b[0] != '{' {
		return
	}
	a, err := ParseJSON(b)
	if err != nil {
		t.s.gap(fmt.Errorf("a line of %s is no alert: %w", t.path, err))
		return
	}
	t.s.deliver(a)
}
