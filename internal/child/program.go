// SPDX-License-Identifier: Apache-2.0

package child

import (
	"fmt"
	"runtime/debug"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/journal"
	"github.com/falcotest/go-falcotest/internal/trace"
)

// Program is work of this module's own that is no registered action, such as a
// case of a test file. It is given its data before anyone watches the process,
// prepares what must not be taken for what it is about, and returns that.
//
// The error of the preparation ends the run like that of an action.
type Program func(h ProgramHelper, data []byte) (events.Action, error)

// ProgramHelper is what a program may ask for.
type ProgramHelper interface {
	events.Helper
	// ID is the id of this run.
	ID() string
	// Undo has op written to the journal before it returns, and undone at the
	// end. What vanishes with the process is not written down.
	Undo(op journal.Op) error
	// StartedProcess tells whoever watches of a process that the program started.
	StartedProcess(pid int)
	// Marks are those that this process and what it starts make.
	Marks() trace.Marks
}

var programs = map[string]Program{}

// RegisterProgram gives a program a name. It is called by initialisations alone.
func RegisterProgram(name string, p Program) { programs[name] = p }

// CopyExecutable puts this executable at path: by a link, else sharing its
// blocks, else copied.
func CopyExecutable(path string) error { return copyExecutable(path) }

// StartedProcess implements [ProgramHelper].
func (h *helper) StartedProcess(pid int) {
	h.run.conn.send(message{Type: typeSpawned, PID: pid})
}

// Marks implements [ProgramHelper].
func (h *helper) Marks() trace.Marks { return h.run.marks }

// await waits for the gate to open, and prepares the program before, if there is
// one. It returns the program's action.
func (r *run) await(h *helper) (events.Action, *goMessage) {
	select {
	case setup := <-r.gate:
		return nil, setup
	case p := <-r.prepare:
		r.setUp(&goMessage{Action: p.Action, LogLevel: p.LogLevel})
		action := r.prepareProgram(h, p)
		r.conn.send(message{Type: typeReady})
		return action, <-r.gate
	}
}

func (r *run) prepareProgram(h *helper, p *prepareMessage) (action events.Action) {
	fail := func(err error) events.Action { return func(events.Helper) error { return err } }
	defer func() {
		if v := recover(); v != nil {
			action = fail(&PanicError{Value: fmt.Sprint(v), Stack: string(debug.Stack())})
		}
	}()
	program, ok := programs[p.Program]
	if !ok {
		return fail(fmt.Errorf("this program has no %q", p.Program))
	}
	action, err := program(h, p.Data)
	if err != nil {
		return fail(err)
	}
	return action
}
