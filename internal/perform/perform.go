// SPDX-License-Identifier: Apache-2.0

// Package perform runs a scenario: what one case of a test file does. It is a
// program, in an action's process.
//
// Before anyone watches, it makes what the scenario needs and is no part of it:
// executables under the names of the chain's processes, users that do not exist,
// addresses of a network namespace. At the gate it starts the first process of
// the chain (package stage), and hands on what the last one reports. What does
// not vanish with the process is written to the journal before it is changed.
//
// Its initialisation takes the process over, before most of the program is
// initialised, which would take longer than all of this: see package inside for what
// it may import. That is internal/child/inside, internal/scenario, internal/stage and
// internal/hermetic. A [Request] enters, the outcome leaves as an action's.
package perform

import (
	"github.com/falcotest/go-falcotest/internal/hermetic"
	"github.com/falcotest/go-falcotest/internal/scenario"
)

// Program is the program's name.
const Program = "scenario"

// Request is what the program is given.
type Request struct {
	Scenario *scenario.Scenario `json:"scenario"`
	// Network says that the process has a network namespace of its own.
	Network bool `json:"network,omitempty"`
	// Addresses are those that it needs there.
	Addresses []hermetic.Address `json:"addresses,omitempty"`
	// Sockets are the socket addresses that the scenario names, but for those of unix
	// sockets, as the kernel takes them.
	Sockets map[string][]byte `json:"sockets,omitempty"`
	// Made says that it is in a container that was made for it, InContainer that it is
	// in one.
	Made        bool `json:"made,omitempty"`
	InContainer bool `json:"inContainer,omitempty"`
}
