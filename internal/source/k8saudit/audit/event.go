// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Event is one audit event: what an API server did for one request, as of one
// stage of it. It does not change, and is safe for concurrent use.
type Event struct {
	Num   uint64    // the event's number, for evt.num: 1 for the first of a reader or a handler
	Time  time.Time // its stageTimestamp
	First time.Time // the time of the first event of the same reader or handler

	tree *tree
}

// EventTime returns e.Time: when the event happened, for alerts.
func (e *Event) EventTime() time.Time { return e.Time }

// JSON returns the event without space between its parts.
func (e *Event) JSON() string { return e.tree.text }

// Text returns the value that a path of member names leads to, "" if there is
// none: of a string its content, of anything else its JSON text.
func (e *Event) Text(path ...string) string {
	n := e.tree.get(0, path...)
	if n < 0 {
		return ""
	}
	return e.tree.string(n)
}

// String returns what the event is about, for messages.
func (e *Event) String() string {
	s := fmt.Sprintf("audit event %s: %s %s by %s, %s", e.Text("auditID"), e.Text("verb"),
		e.Text("requestURI"), e.Text("user", "username"), e.Text("stage"))
	if code := e.Text("responseStatus", "code"); code != "" {
		s += " " + code
	}
	return s
}

// Decode reads audit events as JSON: single events, lists of them (arrays or
// kind EventList), one after the other as in the API server's audit log.
//
// It returns all events that it could read, in their order, together with an
// error that names, by line and column, what it could not: it goes on after an
// event that lacks what every event has, and stops at malformed JSON. Input
// without any event is an error.
func Decode(r io.Reader) ([]*Event, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("reading audit events: %w", err)
	}
	var events []*Event
	d := decoder{emit: func(e *Event) { events = append(events, e) }}
	if err := d.decode(string(b)); err != nil {
		return events, fmt.Errorf("reading audit events: %w", err)
	}
	if len(events) == 0 {
		return nil, errors.New("reading audit events: there are none")
	}
	return events, nil
}

// A decoder reads events, numbers them and hands each to emit before it reads
// the next, so that only one of them need be in memory.
type decoder struct {
	emit  func(*Event)
	num   uint64
	first time.Time
}

// maxProblems bounds how many problems of one input are told.
const maxProblems = 10

// problems collects what was wrong with some of the events of an input.
type problems struct {
	errs []error
	more int
}

func (p *problems) add(err error) {
	if len(p.errs) == maxProblems {
		p.more++
		return
	}
	p.errs = append(p.errs, err)
}

func (p *problems) join() error {
	if p.more > 0 {
		return errors.Join(append(p.errs, fmt.Errorf("and %d more such problems", p.more))...)
	}
	return errors.Join(p.errs...)
}

func (d *decoder) decode(text string) error {
	if len(text) > maxText {
		return fmt.Errorf("more than %d bytes", maxText)
	}
	var bad problems
	for pos := 0; ; {
		start, end, err := skipValue(text[pos:])
		if pos+start == len(text) {
			return bad.join()
		}
		if err != nil {
			var syntax *syntaxError
			errors.As(err, &syntax)
			bad.add(at(text, pos+syntax.offset, err))
			return bad.join()
		}
		d.value(text, pos+start, pos+end, &bad)
		pos += end
	}
}

// at adds a position to an error.
func at(text string, offset int, err error) error {
	before := text[:min(offset, len(text))]
	line := 1 + strings.Count(before, "\n")
	column := len(before) - strings.LastIndexByte(before, '\n')
	return fmt.Errorf("line %d, column %d: %w", line, column, err)
}

// errNoEvent is for JSON that is something else.
var errNoEvent = errors.New(`this is no audit event: want an object of kind "Event" or "EventList", or an array of such`)

// value reads the events of one JSON value, which is text[start:end] and has
// been checked.
func (d *decoder) value(text string, start, end int, bad *problems) {
	switch text[start] {
	case '[':
		d.elements(text, start, false, bad)
		return
	case '{':
		kind, items := outline(text, start)
		switch {
		case kind == "Event":
			d.event(text, start, end, bad)
			return
		case kind == "EventList" && items >= 0:
			d.elements(text, items, true, bad)
			return
		}
	}
	bad.add(at(text, start, errNoEvent))
}

// outline returns the kind of the object at start, and where the array of its
// items starts, or -1. The object has been checked.
func outline(text string, start int) (kind string, items int) {
	items = -1
	p := parser{text: text, pos: start + 1}
	for {
		p.skipSpace()
		if p.peek() == ',' {
			p.pos++
			p.skipSpace()
		}
		if p.peek() != '"' {
			return kind, items
		}
		from := p.pos
		if _, err := p.str(); err != nil {
			return kind, items
		}
		key := text[from+1 : p.pos-1]
		p.skipSpace()
		p.pos++ // the colon
		p.skipSpace()
		from = p.pos
		if _, err := p.value(0); err != nil {
			return kind, items
		}
		switch {
		case key == "kind" && text[from] == '"' && kind == "":
			kind = text[from+1 : p.pos-1]
			if kind == "Event" {
				return kind, items
			}
		case key == "items" && text[from] == '[' && items < 0:
			items = from
		}
	}
}

// elements reads the events of the array at start, which has been checked. The
// elements of an EventList are events, whether or not they say so.
func (d *decoder) elements(text string, start int, events bool, bad *problems) {
	p := parser{text: text, pos: start + 1}
	for {
		p.skipSpace()
		if p.peek() == ',' {
			p.pos++
			p.skipSpace()
		}
		if c := p.peek(); c == ']' || c == 0 {
			return
		}
		from := p.pos
		if _, err := p.value(0); err != nil {
			bad.add(at(text, p.pos, err))
			return
		}
		if events && text[from] == '{' {
			d.event(text, from, p.pos, bad)
			continue
		}
		d.value(text, from, p.pos, bad)
	}
}

// event reads the event that is text[start:end].
func (d *decoder) event(text string, start, end int, bad *problems) {
	// A copy, so that an event that is kept does not keep all that came with it.
	e, err := newEvent(strings.Clone(text[start:end]))
	if err != nil {
		bad.add(at(text, start, err))
		return
	}
	if d.num++; d.num == 1 {
		d.first = e.Time
	}
	e.Num, e.First = d.num, d.first
	d.emit(e)
}

func newEvent(text string) (*Event, error) {
	t, err := parseTree(text)
	if err != nil {
		return nil, err
	}
	e := &Event{tree: t}
	id, stamp := t.get(0, "auditID"), t.get(0, "stageTimestamp")
	if id < 0 {
		return nil, errors.New("this is no audit event: it has no auditID")
	}
	if stamp < 0 {
		return nil, fmt.Errorf("audit event %s has no stageTimestamp", t.string(id))
	}
	if e.Time, err = time.Parse(time.RFC3339Nano, t.string(stamp)); err != nil {
		return nil, fmt.Errorf("audit event %s: reading its stageTimestamp: %w", t.string(id), err)
	}
	return e, nil
}
