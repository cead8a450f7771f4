// SPDX-License-Identifier: Apache-2.0

package child

import (
	"errors"
	"fmt"
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

// Result is how an action's process ended.
type Result struct {
	Outcome Outcome
	Reason  string    // why it was skipped, failed or timed out
	Err     error     // why it failed or timed out, nil else
	Started time.Time // the action, by its own clock
	Ended   time.Time
	Gone    time.Time // its tree: Ended, unless other processes lived then
	Windows []Window
	PIDs    []int    // its processes, as far as known: its first, those of SpawnAs, those that had to be killed
	Killed  []int    // of PIDs: that outlived the action and were killed
	Undone  []string // changes that the action left and that were undone from the journal
	Log     []Record
	Output  string // the end of what it wrote to standard error and output
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
	for _, key := range sortedKeys(r.Fields) {
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
// panic and of this package that called the action.
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
		case strings.HasPrefix(function, "child.(*run)."):
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

// ErrNoHook is what a [NoHookError] is.
var ErrNoHook = errors.New("this executable cannot run actions in processes of their own")

// NoHookError says that the program does not call the hook, so that its copy
// did not become an action's process.
type NoHookError struct {
	Program string
	Output  string // what the copy wrote instead
}

// Error implements error.
func (e *NoHookError) Error() string {
	return fmt.Sprintf("%s does not let actions run in processes of their own: add "+
		"\"func TestMain(m *testing.M) { falcotest.Main(m) }\" to the tests, or call helper.Main() first in a program's main",
		e.Program)
}

// Is makes it an [ErrNoHook].
func (e *NoHookError) Is(target error) bool { return target == ErrNoHook }
