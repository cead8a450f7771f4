// SPDX-License-Identifier: Apache-2.0

package child

import (
	"fmt"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/child/inside"
)

// Program is work of this module's own that is no registered action, but needs what
// those do, such as the requests of a test file. It is given its data before anyone
// watches the process, prepares what must not be taken for what it is about, and
// returns that. One that needs less begins earlier, by itself: see package inside.
//
// The error of the preparation ends the run like that of an action.
type Program func(h events.Helper, data []byte) (events.Action, error)

var programs = map[string]Program{}

// RegisterProgram gives a program a name. It is called by initialisations alone.
func RegisterProgram(name string, p Program) { programs[name] = p }

// prepare gets a program ready.
func prepare(p *inside.Process, name string, data []byte) (func() error, error) {
	program, ok := programs[name]
	if !ok {
		return nil, fmt.Errorf("this program has no %q", name)
	}
	h := &helper{p}
	action, err := program(h, data)
	if err != nil {
		return nil, err
	}
	return func() error { return h.do(action) }, nil
}
