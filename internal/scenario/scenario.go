// SPDX-License-Identifier: Apache-2.0

// Package scenario is what one case of a test does, as data: in which chain of
// processes, with which resources, in which steps, by which system calls.
//
// Package testfile makes it from a file, package perform does it. It imports
// little of the standard library and nothing else, so that a process can begin
// with it before most of the program is initialised.
package scenario

import "time"

// Scenario is what one case does.
type Scenario struct {
	// Processes is the chain: each is started by the one before it, and the
	// last makes the resources and does the steps.
	Processes []Process  `json:"processes"`
	Container *Container `json:"container,omitempty"` // in which the chain runs
	Before    string     `json:"before,omitempty"`
	After     string     `json:"after,omitempty"`
	// BeforePlace and AfterPlace are where the scripts stand: file:line:column.
	BeforePlace string     `json:"beforePlace,omitempty"`
	AfterPlace  string     `json:"afterPlace,omitempty"`
	Resources   []Resource `json:"resources,omitempty"`
	Steps       []Step     `json:"steps,omitempty"`
}

// Container is the container that the chain runs in.
type Container struct {
	Image string   `json:"image,omitempty"`
	Name  string   `json:"name,omitempty"`
	Env   []string `json:"env,omitempty"` // NAME=value
}

// Process is one process of the chain. What is empty takes its default.
type Process struct {
	ExePath      string   `json:"exePath,omitempty"` // default: a path in the temporary directory
	Args         []string `json:"args,omitempty"`    // without argv[0]
	Exe          string   `json:"exe,omitempty"`     // argv[0]; default: Name, else the last element of ExePath
	Name         string   `json:"name,omitempty"`    // what the kernel calls it; default: the last element of ExePath
	Env          []string `json:"env,omitempty"`     // NAME=value
	User         string   `json:"user,omitempty"`
	Capabilities string   `json:"capabilities,omitempty"` // as cap_from_text(3) reads them; default: all=iep
}

// Resource is something that is made before the steps, and whose fields steps
// can use.
type Resource struct {
	Name  string `json:"name"`
	Place string `json:"place,omitempty"` // file:line:column, for errors

	ClientServer *ClientServer `json:"clientServer,omitempty"`
	FD           *FDResource   `json:"fd,omitempty"`
	Process      *Process      `json:"process,omitempty"`
	FileLess     bool          `json:"fileLess,omitempty"` // of Process: executed from memory
}

// ClientServer is a server and a client; both are sockets of the same process.
type ClientServer struct {
	Proto   string `json:"proto"`         // tcp4, tcp6, udp4, udp6, unix
	Address string `json:"address"`       // host:port; empty for unix
	Raw     []byte `json:"raw,omitempty"` // Address as the kernel takes it
}

// FDResource is one open descriptor, or the two of a pipe.
type FDResource struct {
	Subtype string `json:"subtype"`        // file, directory, pipe, event, signalfd, eventpoll, inotify, memfd
	Path    string `json:"path,omitempty"` // of file, directory and memfd
	// Unopened tells that the file or directory is to be there for a step that names its
	// path, and that none uses the descriptor: what opens it is the step alone.
	Unopened bool `json:"unopened,omitempty"`
}

// Step is one thing that the last process does. One of its parts is set.
type Step struct {
	Name  string `json:"name"`
	Place string `json:"place,omitempty"` // file:line:column, for errors
	// ExpectError is the name of the error that it must fail with, "" for none.
	ExpectError string `json:"expectError,omitempty"`

	Call    *Call         `json:"call,omitempty"`
	Command *Command      `json:"command,omitempty"`
	Write   *Write        `json:"write,omitempty"`
	Sleep   time.Duration `json:"sleep,omitempty"`
	Action  string        `json:"action,omitempty"` // a registered action
}

// Call is a system call. The keys are the names of [Syscall]'s arguments;
// those of struct open_how are how.flags, how.mode, how.resolve.
type Call struct {
	Name   string           `json:"name"`
	Number int              `json:"number"` // on this processor
	Args   map[string]Value `json:"args,omitempty"`
}

// Value is an argument: a number, a text, texts, or what another part of the
// test exposes.
type Value struct {
	Written string   `json:"-"` // a number as its author wrote it, for people
	Number  *int64   `json:"number,omitempty"`
	Text    *string  `json:"text,omitempty"`
	List    []string `json:"list,omitempty"`
	Binding string   `json:"binding,omitempty"` // name.field
	Address []byte   `json:"address,omitempty"` // of Text that is a socket address: as the kernel takes it
}

// Command runs a program to its end.
type Command struct {
	Program string   `json:"program"`
	Args    []string `json:"args,omitempty"`
	Stdin   string   `json:"stdin,omitempty"`
	Env     []string `json:"env,omitempty"` // NAME=value, added to the process's
	Dir     string   `json:"dir,omitempty"`
	Exit    int      `json:"exit,omitempty"` // the exit code that it must have
}

// Write writes a file.
type Write struct {
	Path    string `json:"path"`
	Content string `json:"content"`
	Append  bool   `json:"append,omitempty"`
	Mode    int64  `json:"mode,omitempty"`
}

// Exposed are the fields that a resource or a step exposes for bindings.
func (r *Resource) Exposed() []string {
	switch {
	case r.ClientServer != nil:
		return []string{"client.fd", "server.fd"}
	case r.Process != nil:
		return []string{"pid"}
	case r.FD != nil && r.FD.Subtype == "pipe":
		return []string{"readFd", "writeFd"}
	}
	return []string{"fd"}
}

// Exposed are the fields that a step exposes: its arguments, and ret.
func (s *Step) Exposed() []string {
	if s.Call == nil {
		return nil
	}
	call := SyscallByName(s.Call.Name)
	if call == nil {
		return nil
	}
	names := []string{"ret"}
	for _, a := range call.Args {
		switch {
		case a.Kind == Pair:
			names = append(names, "readFd", "writeFd")
		case a.Kind == How:
			names = append(names, "how.flags", "how.mode", "how.resolve")
		case a.Settable():
			names = append(names, a.Name)
		}
	}
	return names
}

// SameField tells whether two names of a field are the same: in any case.
func SameField(a, b string) bool { return plain(a) == plain(b) }
