// SPDX-License-Identifier: Apache-2.0

// Package stage is the processes of a test's chain: this executable under other
// names, which start one another until the last one does what the test says.
//
// A process of the chain has exactly the name, arguments, user and capabilities
// that the test asks for. It is told what to do by messages over a socket, whose
// number the environment variable FALCOTEST_STAGE has, and this package's
// initialisation takes it over, before most of the program is initialised:
// that keeps a process cheap. Packages are initialised in the order of their
// names as soon as what they import is, so this package and those it imports,
// internal/scenario, internal/config and internal/marks, import of the standard
// library only what nearly everything needs, and not net, os/exec or
// path/filepath.
//
// Of those that have little to do, the executable is one of machine code
// ([Launch.Starting], [Ending]), which costs a tenth. Orders enter, a [Report] leaves.
package stage

import (
	"github.com/falcotest/go-falcotest/internal/marks"
	"github.com/falcotest/go-falcotest/internal/scenario"
)

// ControlFD is the descriptor of the socket in the processes of a chain. It is
// out of the way of the numbers that tests use.
const ControlFD = 900

// Order is what one process of the chain is told. One part is set, or none for one that
// runs the program of [Launch.Starting].
type Order struct {
	Marks marks.Marks `json:"marks,omitempty"` // of what is judged: the last process, from its exec on

	Become *Launch `json:"become,omitempty"` // change the user, and execute this in place
	Start  *Launch `json:"start,omitempty"`  // start it, and end when it has ended
	Play   *Play   `json:"play,omitempty"`   // do what the test says
	Where  bool    `json:"where,omitempty"`  // tell where the test stands
}

// Launch is a process to start.
type Launch struct {
	Path string   `json:"path"`
	Argv []string `json:"argv"`
	Env  []string `json:"env,omitempty"` // NAME=value, added to that of the process that starts it

	// Other says that it has another user than the process that starts it.
	Other    bool `json:"other,omitempty"`
	UID, GID uint32
	// Ambient are capabilities that it keeps as another user than root.
	Ambient uint64 `json:"ambient,omitempty"`
	// Bounded says that it has no other capabilities than Capabilities, also as
	// root.
	Bounded      bool                  `json:"bounded,omitempty"`
	Capabilities scenario.Capabilities `json:"capabilities"`

	// First says that another process of this program is started in its place,
	// which is told to become it: so that none but the process itself is seen
	// to change its user.
	First bool `json:"first,omitempty"`
	// Last says that it is the last of the chain.
	Last bool `json:"last,omitempty"`
}

// Play is what the last process of a chain does.
type Play struct {
	Scenario scenario.Scenario `json:"scenario"`
	// Executables are the paths of what the resources of processes execute, by
	// the resource's name, and how they are called.
	Executables map[string]Launch `json:"executables,omitempty"`
	Temp        string            `json:"temp"`            // a directory for temporary files
	Root        bool              `json:"root"`            // whether the machine's root runs it
	Hermetic    bool              `json:"hermetic"`        // whether folders vanish with it
	Exact       bool              `json:"exact,omitempty"` // set just these capabilities at the start:
	Launch      Launch            `json:"launch"`
}

// Report is how it went.
type Report struct {
	PID int    `json:"pid,omitempty"` // of a process that was started
	At  string `json:"at,omitempty"`  // where the test stands: what it is doing, and its place in the file

	Done bool `json:"done,omitempty"` // this is the last message
	// Skip is why the test cannot work here.
	Skip string `json:"skip,omitempty"`
	// Failure is what went wrong, Place where in the file it stands.
	Failure string `json:"failure,omitempty"`
	Place   string `json:"place,omitempty"`
}
