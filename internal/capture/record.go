// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"bytes"
	"fmt"

	"github.com/falcotest/go-falcotest/internal/event"
)

// record is one event of a recording. Its parameters point into the recording.
type record struct {
	time int64
	tid  int64
	cpu  int16
	code uint16
	n    int // parameters
	p    [maxParams][]byte

	// Set by the converter, which makes of p the parameters of the type.
	typ      event.Type
	enter    bool
	byNumber bool // the type is that of a call known by number alone
}

// parse reads the event's header and finds its parameters.
func (r *record) parse(b []byte, counted bool) error {
	header := eventHeaderLen
	if !counted {
		header -= 4
	}
	if len(b) < header {
		return errShortEvent
	}
	r.time = int64(le.Uint64(b))
	r.tid = int64(le.Uint64(b[8:]))
	length := int(le.Uint32(b[16:]))
	r.code = le.Uint16(b[20:])
	r.typ, r.enter, r.byNumber = event.None, false, false
	if int(r.code) >= len(codes) || codes[r.code].typ == event.None {
		r.n = 0
		return nil // a later version's, or of no use any more
	}
	c := &codes[r.code]
	if !counted && (c.typ == event.EvtNotification || c.typ == event.EvtInfra) {
		length -= 3 // written wrong at the time
	}
	if length < header || length > len(b) {
		return errShortEvent
	}
	body := b[header:length]
	width := 2
	if c.is&large != 0 {
		width = 4
	}
	if counted {
		r.n = int(le.Uint32(b[22:]))
		return r.split(body, width)
	}
	// The number of parameters follows from the length.
	for r.n = len(paramsOf(r.code)); r.n >= 0; r.n-- {
		if sum, ok := r.lengths(body, width); ok && sum == len(body) {
			return r.split(body, width)
		}
	}
	return fmt.Errorf("event code %d: its parameters do not fit its length", r.code)
}

func (r *record) lengths(body []byte, width int) (int, bool) {
	sum := r.n * width
	if sum > len(body) {
		return 0, false
	}
	for i := range r.n {
		if width == 2 {
			sum += int(le.Uint16(body[2*i:]))
		} else {
			sum += int(le.Uint32(body[4*i:]))
		}
	}
	return sum, true
}

func (r *record) split(body []byte, width int) error {
	if r.n > maxParams {
		return fmt.Errorf("event code %d has %d parameters", r.code, r.n)
	}
	if r.n*width > len(body) {
		return errShortEvent
	}
	lens, data := body[:r.n*width], body[r.n*width:]
	for i := range r.n {
		var n int
		if width == 2 {
			n = int(le.Uint16(lens[2*i:]))
		} else {
			n = int(le.Uint32(lens[4*i:]))
		}
		if n > len(data) {
			return fmt.Errorf("event code %d: parameter %d does not fit its length", r.code, i)
		}
		r.p[i] = data[:n:n]
		data = data[n:]
	}
	return nil
}

// param is parameter i, nil when the event does not have it.
func (r *record) param(i int) []byte {
	if i >= r.n {
		return nil
	}
	return r.p[i]
}

func (r *record) empty(i int) bool { return len(r.param(i)) == 0 }

// num is a number of any width, extended with its sign.
func (r *record) num(i int) int64 { return signed(r.param(i)) }

func (r *record) u64(i int) uint64 { return unsigned(r.param(i)) }

func (r *record) u32(i int) uint32 { return uint32(unsigned(r.param(i))) }

// text is a string; one that is null reads <NA>, as in Falco.
func (r *record) text(i int) []byte { return cstring(r.param(i)) }

var notAvailable = []byte("<NA>")

func cstring(b []byte) []byte {
	if len(b) == 0 || len(b) == 7 && string(b) == "(NULL)\x00" {
		return notAvailable
	}
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return b[:i]
	}
	return b
}

func unsigned(b []byte) uint64 {
	switch len(b) {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(le.Uint16(b))
	case 4:
		return uint64(le.Uint32(b))
	case 8:
		return le.Uint64(b)
	}
	var n uint64
	for i, c := range b[:min(len(b), 8)] {
		n |= uint64(c) << (8 * i)
	}
	return n
}

func signed(b []byte) int64 {
	switch len(b) {
	case 1:
		return int64(int8(b[0]))
	case 2:
		return int64(int16(le.Uint16(b)))
	case 4:
		return int64(int32(le.Uint32(b)))
	}
	return int64(unsigned(b))
}
