// SPDX-License-Identifier: Apache-2.0

package event

import "github.com/falcotest/go-falcotest/internal/alert"

// Unknown says why a value could not be learnt where an event was seen. The
// zero value, [Known], means that it could: that it is as it stands, be it that
// Falco has no value there either.
//
// What cannot be known must not be taken for "no value": a condition can be
// true or false of that one, but of an unknown value neither.
type Unknown uint8

// The reasons.
const (
	Known           Unknown = iota
	UnknownMemory           // the caller's memory cannot be read
	UnknownProc             // what /proc tells of a process may not be read
	UnknownSocket           // a socket's ends cannot be asked for
	UnknownAncestor         // the process is outside of what /proc shows
	UnknownEngine           // the container's engine cannot be asked
	UnknownAccounts         // the files that name users and groups cannot be read
	UnknownLayer            // an overlay file system does not tell the layer of a file
	UnknownGone             // the process was killed before it was read
)

// UnknownText is what texts show for an unknown value.
const UnknownText = alert.Unknown

var unknownTexts = [...]string{
	UnknownMemory:   "the memory of the process may not be read here: process_vm_readv, /proc/PID/mem and PTRACE_PEEKDATA are refused (in a container, --cap-add SYS_PTRACE allows them)",
	UnknownProc:     "/proc/PID of the process may not be read here, since it has changed its user (in a container, --cap-add SYS_PTRACE allows it)",
	UnknownSocket:   "the socket may not be looked at here, by pidfd_getfd or in /proc/PID/net (in a container, --cap-add SYS_PTRACE allows it)",
	UnknownAncestor: "its ancestor is outside of this PID namespace, or hidden in /proc",
	UnknownEngine:   "the tests run in a container themselves, whose engine cannot be asked from inside unless its socket is mounted",
	UnknownAccounts: "the passwd and group files of the process's root may not be read here (in a container, --cap-add SYS_PTRACE allows it)",
	UnknownLayer:    "the layers of the overlay file system cannot be looked into here, as they can on its host",
	UnknownGone:     "the process was killed before it could be read",
}

// String says in a sentence, without a capital and a full stop, why the value
// is not known and what would help. It is empty for [Known].
func (u Unknown) String() string {
	if int(u) < len(unknownTexts) {
		return unknownTexts[u]
	}
	return "it could not be learnt"
}

// Passing tells that another run may learn the value: it is not the place where
// the tests run that forbids it.
func (u Unknown) Passing() bool { return u == UnknownGone }

// ProcessUnknowns says which members of a [Process] are not known.
type ProcessUnknowns struct {
	Exe      Unknown // ExePath and all that is known of that file
	ExeLayer Unknown // ExeUpperLayer, ExeLowerLayer
	Env      Unknown
	Cwd      Unknown
	Root     Unknown
	FDs      Unknown // whether a descriptor that FDs does not have is open
	Parent   Unknown // Parent, where it is nil: there is one
}

// FDUnknowns says which members of an [FD] are not known.
type FDUnknowns struct {
	Type  Unknown // Type, Proto, Domain and all that depends on them
	Name  Unknown // Name and NameRaw
	Local Unknown // of a socket: the address and the port of this end
	File  Unknown // Dev and Ino
	Layer Unknown // UpperLayer, LowerLayer
}

// ParamUnknown tells why the text of parameter i is not known: its value, or the
// name of what it stands for.
func (e *Event) ParamUnknown(i int) Unknown {
	p := &e.Params[i]
	if p.Unknown != Known {
		return p.Unknown
	}
	switch e.Type.Def().Params[i].Type {
	case PFD:
		if fd := e.lookupFD(p.Num); fd != nil {
			if fd.Unknown.Name != Known {
				return fd.Unknown.Name
			}
			return fd.Unknown.Type
		}
	case PFDList:
		for _, poll := range p.List {
			if fd := e.lookupFD(poll.FD); fd != nil && fd.Unknown.Type != Known {
				return fd.Unknown.Type
			}
		}
	case PUID, PGID:
		if e.Thread != nil && e.Thread.Process != nil && uint32(p.Num) != 1<<32-1 {
			return e.Machine().AccountsUnknown(e.Thread.Process)
		}
	}
	return Known
}
