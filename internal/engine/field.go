// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"strconv"
	"strings"

	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/filter"
)

// argKind says which argument a field takes.
type argKind uint8

const (
	noArg        argKind = iota
	optIndex             // proc.aname[2]
	optKey               // proc.env[NAME]
	reqIndexName         // evt.arg[0], evt.arg.name
	reqName              // evt.rawarg.name, thread.cgroup.cpu
	reqKey               // container.mount[0], container.mount[/path]
	reqDotKey            // k8s.pod.label[foo], k8s.pod.label.foo
	reqNumber            // evt.around[T]
	optNumber            // fd.types[0]
	optSrcDst            // evt.abspath, evt.abspath.src
)

// String describes the argument for the documentation.
func (k argKind) String() string {
	return [...]string{
		noArg: "", optIndex: "[index], optional", optKey: "[name], optional", reqIndexName: "[index] or .name",
		reqName: ".name", reqKey: "[index] or [path]", reqDotKey: "[key] or .key", reqNumber: "[time]",
		optNumber: "[number], optional", optSrcDst: ".src or .dst, optional",
	}[k]
}

// print is how a value of a field is printed and written to JSON.
type print uint8

const (
	printPlain  print = iota
	printHex          // upper-case hexadecimal, text in JSON
	printPadded       // nine digits, text in JSON
	printTime         // text in outputs, nanoseconds in JSON
)

// field is one row of the table of syscall fields.
type field struct {
	class string // as Falco groups them
	name  string
	typ   filter.Type
	arg   argKind
	print print

	// get reads the field without an argument.
	get getter
	// with makes the getter for an argument. The filter.Field may be changed,
	// for fields whose type depends on the argument.
	with func(s *Syscall, arg argument, f *filter.Field) (getter, error)
	// single reads what an output prints, where conditions see several values.
	single getter

	list, any, notEqualAll      bool
	filterOnly, noRight, noTran bool

	hidden      bool   // deprecated: usable, but Falco does not list it
	unsupported string // why the built-in engine cannot know it
}

// getter reads a field from an event.
type getter func(s *Syscall, e *event.Event, v *filter.Value) bool

// argument is a field's argument, in brackets or after a dot.
type argument struct {
	text     string
	has      bool
	brackets bool
}

// index reads the argument as a number, as sscanf does: blanks may stand before
// it, and what does not fit is cut to 32 bits.
func (a argument) index() (int64, bool) {
	s := strings.TrimLeft(a.text, " \t\n\v\f\r")
	digits := strings.TrimLeft(s, "0123456789")
	if s != "" && (s[0] == '+' || s[0] == '-') {
		digits = strings.TrimLeft(s[1:], "0123456789")
		if len(s) == 1 {
			return 0, false
		}
	}
	if !a.has || s == "" || digits != "" {
		return 0, false
	}
	n, _ := strconv.ParseInt(s, 10, 64)
	return int64(int32(n)), true
}

// The helpers below make getters of functions that read one kind of value.

func str(f func(*event.Event) (string, bool)) getter {
	return func(_ *Syscall, e *event.Event, v *filter.Value) bool {
		s, ok := f(e)
		v.Str = s
		return ok
	}
}

func num(f func(*event.Event) (int64, bool)) getter {
	return func(_ *Syscall, e *event.Event, v *filter.Value) bool {
		n, ok := f(e)
		v.Num = n
		return ok
	}
}

func boolean(f func(*event.Event) bool) getter {
	return func(_ *Syscall, e *event.Event, v *filter.Value) bool {
		v.Num = 0
		if f(e) {
			v.Num = 1
		}
		return true
	}
}

// never is the getter of fields that no event of this source has.
func never(*Syscall, *event.Event, *filter.Value) bool { return false }

// proc returns the event's process, nil when it is unknown.
func proc(e *event.Event) *event.Process {
	if e.Thread == nil {
		return nil
	}
	return e.Thread.Process
}
