// SPDX-License-Identifier: Apache-2.0

// Package record runs a command and records the system calls of all its
// processes into a .scap file, without privileges.
//
// [Command] starts this executable once more, which waits at a gate ([Gate]) until
// the tracer is attached, installs the filter and becomes the command. The
// recording begins with the command's execve.
//
// It imports internal/capture, internal/event, internal/machine and internal/trace.
package record

import (
	"github.com/falcotest/go-falcotest/internal/capture"
	"github.com/falcotest/go-falcotest/internal/event"
)

// GateVerb is the argument by which an executable knows that it is to call [Gate]
// with the arguments after it.
const GateVerb = "record-gate"

// Options say what is recorded.
type Options struct {
	Types  []event.Type // of events; default: capture.DefaultTypes
	Writer capture.WriterOptions
}

// Result is how the command ended.
type Result struct {
	Code   int    // its exit status; 128 and the number of the signal that ended it
	Events uint64 // that were recorded
}
