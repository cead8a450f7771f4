// SPDX-License-Identifier: Apache-2.0

package fields

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
	with func(s *Source, arg argument, f *filter.Field) (getter, error)
	// single reads what an output prints, where conditions see several values.
	single getter

	list, any, notEqualAll      bool
	filterOnly, noRight, noTran bool

	hidden      bool   // deprecated: usable, but Falco does not list it
	unsupported string // why the built-in engine cannot know it
}

// getter reads a field from an event.
type getter func(s *Source, e *event.Event, v *filter.Value) bool

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
	return func(_ *Source, e *event.Event, v *filter.Value) bool {
		s, ok := f(e)
		v.Str = s
		return ok
	}
}

func num(f func(*event.Event) (int64, bool)) getter {
	return func(_ *Source, e *event.Event, v *filter.Value) bool {
		n, ok := f(e)
		v.Num = n
		return ok
	}
}

func boolean(f func(*event.Event) bool) getter {
	return func(_ *Source, e *event.Event, v *filter.Value) bool {
		v.Num = 0
		if f(e) {
			v.Num = 1
		}
		return true
	}
}

// never is the getter of fields that no event of this source has.
func never(*Source, *event.Event, *filter.Value) bool { return false }

// reasons say why values are not known, by the tracer's word for it.
// Of standIns, the value has another that stands in, of noneStandIns that there is
// none.
var (
	reasons      = reasonsLike(filter.Reason{})
	standIns     = reasonsLike(filter.Reason{StandIn: true})
	noneStandIns = reasonsLike(filter.Reason{StandIn: true, None: true})
)

func reasonsLike(like filter.Reason) (list []*filter.Reason) {
	for u := event.Known; u <= event.UnknownGone; u++ {
		r := like
		r.Text, r.Passing = u.String(), u.Passing()
		list = append(list, &r)
	}
	return list
}

// unknown tells that an event's value is not known. Like getters of values that
// are not there, it returns false.
func unknown(v *filter.Value, why event.Unknown) bool {
	v.Unknown = reasons[why]
	return false
}

// ifKnown is the getter of a field that hangs on what may not be known of the
// process.
func ifKnown(member func(*event.Process) event.Unknown, get getter) getter {
	return func(s *Source, e *event.Event, v *filter.Value) bool {
		if p := proc(e); p != nil {
			if why := member(p); why != event.Known {
				return unknown(v, why)
			}
		}
		return get(s, e, v)
	}
}

// What fields hang on.
func exeUnknown(p *event.Process) event.Unknown { return p.Unknown.Exe }
func envUnknown(p *event.Process) event.Unknown { return p.Unknown.Env }
func cwdUnknown(p *event.Process) event.Unknown { return p.Unknown.Cwd }
func fdsUnknown(p *event.Process) event.Unknown { return p.Unknown.FDs }
func isKnown(*event.Process) event.Unknown      { return event.Known }

func layerUnknown(p *event.Process) event.Unknown {
	if p.Unknown.Exe != event.Known {
		return p.Unknown.Exe
	}
	return p.Unknown.ExeLayer
}

// lineUnknown tells whether the line of ancestors is not known to its end.
func lineUnknown(p *event.Process) event.Unknown {
	for p.Parent != nil {
		p = p.Parent
	}
	return p.Unknown.Parent
}

// ancestor is the nth ancestor. Without one, it notes in v whether that is not
// known.
func ancestor(e *event.Event, n int, v *filter.Value) *event.Process {
	p := proc(e)
	for ; n > 0 && p != nil; n-- {
		if p.Parent == nil && p.Unknown.Parent != event.Known {
			unknown(v, p.Unknown.Parent)
			return nil
		}
		p = p.Parent
	}
	return p
}

// eachAncestor puts a value for each ancestor into v.List, an unknown one where
// the member that it is made of is not known, or the ancestor itself.
func eachAncestor(e *event.Event, v *filter.Value, member func(*event.Process) event.Unknown, value func(*event.Process) filter.Value) bool {
	p := proc(e)
	if p == nil {
		return false
	}
	v.List = v.List[:0]
	for ; p.Parent != nil; p = p.Parent {
		if why := member(p.Parent); why != event.Known {
			v.List = append(v.List, filter.Value{Unknown: reasons[why]})
			continue
		}
		v.List = append(v.List, value(p.Parent))
	}
	if p.Unknown.Parent != event.Known {
		v.List = append(v.List, filter.Value{Unknown: reasons[p.Unknown.Parent]})
	}
	return len(v.List) > 0
}

// proc returns the event's process, nil when it is unknown.
func proc(e *event.Event) *event.Process {
	if e.Thread == nil {
		return nil
	}
	return e.Thread.Process
}
