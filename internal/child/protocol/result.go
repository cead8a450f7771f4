// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Outcome is how an action ended.
type Outcome int

// The outcomes.
const (
	Completed Outcome = iota + 1
	Skipped           // it cannot work here; see Reason
	Failed            // error, panic, crash; see Err
	TimedOut          // it was stopped at its deadline
)

// String returns the outcome in words.
func (o Outcome) String() string {
	switch o {
	case Completed:
		return "completed"
	case Skipped:
		return "skipped"
	case Failed:
		return "failed"
	case TimedOut:
		return "timed out"
	}
	return fmt.Sprintf("Outcome(%d)", int(o))
}

// Window is a time in the life of a process of this program: of the action, or
// with a thread's number, of that thread's work for SpawnAs.
type Window struct {
	PID   int       `json:"pid"` // as this process sees it
	TID   int       `json:"tid,omitempty"`
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
	First bool      `json:"first,omitempty"` // it is the action's first process
}

// Record is one log entry of an action.
type Record struct {
	Time    time.Time         `json:"time"`
	Level   string            `json:"level"` // as logrus names it
	Message string            `json:"message"`
	Fields  map[string]string `json:"fields,omitempty"`
}

// String returns the entry as one line.
func (r Record) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", r.Level, r.Message)
	for _, key := range slices.Sorted(maps.Keys(r.Fields)) {
		fmt.Fprintf(&b, " %s=%q", key, r.Fields[key])
	}
	return b.String()
}

// PanicError is the error of an action that panicked.
type PanicError struct {
	Value string
	Stack string
}

// Error returns the value and not the stack.
func (e *PanicError) Error() string { return "the action panicked: " + e.Value }

// Frames lists the calls that led to the panic, "a.go:17 in actions.Writes", the
// innermost first: the action's own, without those of the runtime that raised the
// panic and of the packages that called the action.
func (e *PanicError) Frames() []string {
	lines := strings.Split(e.Stack, "\n")
	if i := slices.IndexFunc(lines, func(s string) bool { return strings.HasPrefix(s, "panic(") }); i >= 0 {
		lines = lines[i:]
	}
	var frames []string
	for i := 0; i+1 < len(lines); i++ {
		place, ok := strings.CutPrefix(lines[i+1], "\t")
		if !ok {
			continue
		}
		function := lines[i]
		if at := strings.LastIndexByte(function, '('); at > 0 {
			function = function[:at] // less its arguments
		}
		function = function[strings.LastIndexByte(function, '/')+1:]
		place, _, _ = strings.Cut(place, " +0x")
		switch {
		case function == "child.(*helper).do" || strings.HasPrefix(function, "inside.(*Process)."):
			return frames
		case function == "panic" || strings.HasPrefix(function, "runtime."):
			continue
		}
		frames = append(frames, place+" in "+function)
	}
	return frames
}

// Format adds the stack on %+v.
func (e *PanicError) Format(f fmt.State, verb rune) {
	fmt.Fprint(f, e.Error())
	if verb == 'v' && f.Flag('+') {
		fmt.Fprintf(f, "\n%s", e.Stack)
	}
}
