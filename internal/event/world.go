// SPDX-License-Identifier: Apache-2.0

package event

import "net/netip"

// World is what a rule may ask of the machine on which an event happened and
// that the event does not carry itself: who its accounts are, what else runs on
// it, which addresses are its own. The tracer gives that of this machine
// (internal/machine), a recording that of the machine it was made on, so that
// nothing is judged by a machine that it did not happen on.
//
// A World is safe for concurrent use unless its maker says otherwise.
type World interface {
	// User and Group look an id up as the process sees it: in the files of its
	// container when it is in one.
	User(p *Process, uid uint32) (*User, bool)
	Group(p *Process, gid uint32) (string, bool)
	// AccountsUnknown tells why they cannot be looked up for a process.
	AccountsUnknown(p *Process) Unknown

	// Process tells of a process or thread that need not be related to the
	// event's own.
	Process(pid int64, what ProcessText) (string, bool)

	// HasAddr tells whether an address is one of the machine's interfaces'.
	HasAddr(a netip.Addr) bool

	// HostNames are the names that an address has in the hosts file which the
	// thread sees.
	HostNames(t *Thread, a netip.Addr) []string

	// Hostname is the machine's name; empty where Falco does not know it.
	Hostname() string
}

// User is an account, as a passwd file has it.
type User struct {
	Name, Home, Shell string
}

// ProcessText says what [World.Process] is asked for.
type ProcessText uint8

// What World.Process tells of a process.
const (
	TextComm ProcessText = iota
	TextExe              // argv[0]
	TextExePath
)

// unknownWorld is the World of events that have none.
type unknownWorld struct{}

func (unknownWorld) User(*Process, uint32) (*User, bool)       { return nil, false }
func (unknownWorld) Group(*Process, uint32) (string, bool)     { return "", false }
func (unknownWorld) AccountsUnknown(*Process) Unknown          { return Known }
func (unknownWorld) Process(int64, ProcessText) (string, bool) { return "", false }
func (unknownWorld) HasAddr(netip.Addr) bool                   { return false }
func (unknownWorld) HostNames(*Thread, netip.Addr) []string    { return nil }
func (unknownWorld) Hostname() string                          { return "" }

// Machine is the event's World; when it has none, one in which nothing is known.
func (e *Event) Machine() World {
	if e.World == nil {
		return unknownWorld{}
	}
	return e.World
}

// CommOf is the name of a process or thread: of the event's own and its
// ancestors, or else of what the World knows.
func (e *Event) CommOf(pid int64) string {
	var p *Process
	if e.Thread != nil {
		p = e.Thread.Process
	}
	if p != nil && e.Thread.TID == pid {
		return p.Comm
	}
	if p != nil && p.PID == pid { // the main thread may be named otherwise than this one
		if name, ok := e.Machine().Process(pid, TextComm); ok {
			return name
		}
		if p.Recorded { // of whose main thread nothing is known
			return ""
		}
	}
	for ; p != nil; p = p.Parent {
		if p.PID == pid {
			return p.Comm
		}
	}
	name, _ := e.Machine().Process(pid, TextComm)
	return name
}
