// SPDX-License-Identifier: Apache-2.0

package filter

import "net/netip"

// Type is the type of a field, named as `falco --list` names it.
type Type uint8

// The types of fields.
const (
	CharBuf Type = iota + 1
	ByteBuf
	Bool
	Int8
	Int16
	Int32
	Int64
	Uint8
	Uint16
	Uint32
	Uint64
	Double
	Port
	AbsTime // nanoseconds since the epoch
	RelTime // nanoseconds
	IPAddr
	IPNet
	Dynamic
)

// Value is one value of a field, without allocation: which member counts is
// told by the field's [Type]. Str holds CharBuf and ByteBuf; Num holds all
// integers, times and Bool (0 or 1; unsigned ones as their bits); Float holds
// Double; Addr holds IPAddr and IPNet. List holds the values of a list field, of
// which some may be unknown.
type Value struct {
	Str   string
	Num   int64
	Float float64
	Addr  netip.Addr
	List  []Value

	// Unknown says why the value is not known; nothing else counts then. Nil
	// means that it is: that it is as it stands, or that there is none.
	Unknown *Reason
}

// Field is one field of an event source, resolved for use: its name with its
// argument, its type, and how to read it from an event.
type Field struct {
	Name string // as conditions write it, with the argument: "proc.aname[2]"
	Type Type
	List bool // the field has a list of values of Type

	// Get reads the field from an event of the source (for the syscall source
	// an *event.Event) into v and tells whether the event has a value. Where that
	// cannot be known, it says that it has none and sets v.Unknown. It must not
	// allocate in the common case. It is nil when Unsupported is set.
	Get func(ev any, v *Value) bool

	// Format renders a value as Falco prints it in an output, where the plain
	// rendering of its type is not right. Nil means the type's own rendering.
	Format func(ev any, v *Value) string

	// Output reads the value that outputs print, where that is not the one that
	// conditions see (of a field with Any: one value). Nil means Get.
	Output func(ev any, v *Value) bool

	// JSON gives the value in a JSON alert's output_fields, where that is not
	// the plain one of the type. Nil means the type's own.
	JSON func(ev any, v *Value) any

	// Unsupported says why the built-in engine cannot know this field. Rules
	// that use such a field load, and are reported as not supported.
	Unsupported string

	// Foreign: the field is one of a plugin that is not here, so that not even
	// its type is known. Unsupported names the plugin.
	Foreign bool

	// Plugin: the field comes from a plugin, whose fields Falco reads in outputs
	// in a way of its own: see [ParseFormat].
	Plugin bool

	// FilterOnly: usable in conditions, not in outputs (fd.ip, fd.net …).
	FilterOnly bool

	// Any: the field stands for several values, of which any one may satisfy a
	// check (proc.aname without an index: any ancestor; fd.ip, fd.net, fd.port,
	// fd.proto: either end; fd.cip.name: any address of the name). Get puts
	// them into v.List. Unlike List, every operator of Type may be used.
	Any bool
	// NotEqualAll: with Any, a != check holds only when all the values differ
	// (fd.ip, fd.net, fd.port; not proc.aname).
	NotEqualAll bool

	// NoCompare: only 'exists' may be asked of the field, and NoConst: no value can
	// be written that Falco could read (evt.rawarg of some types of parameters).
	NoCompare, NoConst bool

	// NoTransform: transformers such as tolower() are refused, as Falco does.
	NoTransform bool
	// NoRight: val(field) on either side is refused, as Falco does for fields
	// with a comparison of their own (fd.ip, evt.rawarg, proc.aname, …).
	NoRight bool
}

// ArgumentError says that a field's argument is wrong. Falco then refuses an
// output; of other fields it takes the name alone, and the brackets for text.
type ArgumentError struct {
	Err    error
	Plugin bool // the field is one of a plugin
}

func (e *ArgumentError) Error() string { return e.Err.Error() }
func (e *ArgumentError) Unwrap() error { return e.Err }

// Source resolves the fields of an event source.
type Source interface {
	// Name is the source's name in rules: "syscall", "k8s_audit".
	Name() string
	// Field resolves a field by its name and argument: proc.aname[2] is
	// ("proc.aname", "2", true). The error says what is wrong with the name or
	// the argument, and suggests the nearest known name.
	Field(name, arg string, hasArg bool) (*Field, error)
}

// Classifier is implemented by sources that know the first parts of the names of
// their fields: proc of proc.name.
type Classifier interface {
	FieldClasses() []string
}

// EventTyper is implemented by sources whose events have types that the field
// evt.type names. EventTypes lists all names that evt.type
// may be compared with; conditions that name others are errors, as in Falco.
// The events of other sources are all of one kind.
type EventTyper interface {
	EventTypes() []string
}

// EventCounter is implemented by a source that can tell how many kinds of events
// the types of a set stand for to Falco: entering a call and leaving it are two,
// and older versions of an event more.
type EventCounter interface {
	// EventKind returns the name that types have in those sets: calls that are
	// reported with their number alone are all of one kind.
	EventKind(name string) string
	CountEvents(kinds TypeSet) int
}
