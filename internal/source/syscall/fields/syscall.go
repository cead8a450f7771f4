// SPDX-License-Identifier: Apache-2.0

package fields

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/spelling"
)

// Plugins are the plugins that the built-in engine stands in for, with the
// versions whose fields it has: what Falco 0.43 is built with.
var Plugins = map[string]string{"container": "0.6.4"}

// SourceName is the name of the source of system call events.
const SourceName = "syscall"

// Source is the source of the fields of system call events. It is safe for
// concurrent use. Each engine has one of its own: it holds what some fields
// count from (evt.reltime).
type Source struct {
	first atomic.Int64 // time of the first event
}

// New returns the source of system call events.
func New() *Source {
	return &Source{}
}

var _ interface {
	filter.Source
	filter.EventTyper
} = (*Source)(nil)

// Name returns "syscall".
func (s *Source) Name() string { return SourceName }

// EventTypes returns the names of all event types.
func (s *Source) EventTypes() []string { return slices.Clone(eventNames()) }

// TypeOf is where the type of an event stands in EventTypes. Asynchronous events,
// whose types have names of their own, are not among system calls.
func (s *Source) TypeOf(ev any) int {
	e, ok := ev.(*event.Event)
	if !ok || e.Type == 0 || e.Type >= event.NumTypes || e.Type == event.EvtAsyncevent {
		return -1
	}
	return int(e.Type) - 1
}

// Types are the types of events of those names.
func Types(names []string) []event.Type {
	types := make([]event.Type, 0, len(names))
	for _, name := range names {
		if t, ok := event.ByName(name); ok && t != event.EvtAsyncevent {
			types = append(types, t)
		}
	}
	return types
}

// SuggestedOutput is what Falco appends to the outputs of rules for system calls:
// the fields that its container plugin suggests.
func (s *Source) SuggestedOutput() string {
	return " container_id=%container.id container_name=%container.name" +
		" container_image_repository=%container.image.repository container_image_tag=%container.image.tag" +
		" k8s_pod_name=%k8s.pod.name k8s_ns_name=%k8s.ns.name"
}

// table is every field of the source, in the order in which Falco lists them.
var table = func() []field {
	var all []field
	add := func(class string, fields []field) {
		for _, f := range fields {
			if f.class == "" {
				f.class = class
			}
			all = append(all, f)
		}
	}
	add("evt", evtFields)
	add("process", procFields)
	add("user", userFields[:6])
	add("group", userFields[6:])
	add("fd", fdFields)
	add("fs.path", fsPathFields)
	add("fdlist", fdListFields)
	add("container (plugin)", containerFields)
	return all
}()

// FieldClasses are the first parts of the names of fields, those of the plugin json
// too, which rules for system calls may use.
func (s *Source) FieldClasses() []string { return classes() }

var classes = sync.OnceValue(func() []string {
	list := []string{"json", "jevt"}
	for i := range table {
		class, _, _ := strings.Cut(table[i].name, ".")
		if !slices.Contains(list, class) {
			list = append(list, class)
		}
	}
	return list
})

var fieldsByName = func() map[string]*field {
	m := make(map[string]*field, len(table))
	for i := range table {
		m[table[i].name] = &table[i]
	}
	return m
}()

// Field resolves a field by its name, in which an argument may follow after a
// dot (evt.arg.flags), and its argument in brackets.
func (s *Source) Field(name, arg string, hasArg bool) (*filter.Field, error) {
	f, a := fieldsByName[name], argument{text: arg, has: hasArg, brackets: hasArg}
	full := name
	if hasArg {
		full += "[" + arg + "]"
	}
	if f == nil && !hasArg {
		f, a = dotted(name)
	}
	if f == nil {
		if plugin := foreignPlugin(name); plugin != "" {
			return &filter.Field{Name: full, Foreign: true, Unsupported: "a field of the plugin " + plugin + ", which the built-in engine does not have"}, nil
		}
		return nil, &unknownField{name}
	}
	switch {
	case a.brackets && strings.Contains(a.text, "]"):
		return nil, fmt.Errorf("field %s: an argument cannot hold a ']'", f.name)
	case f.arg == optKey && a.text == "":
		a.has = false
	case f.arg == optIndex && a.brackets:
		// As in Falco, -1 stands for no index, and what is less for 0.
		if n, ok := a.index(); ok && n == -1 {
			a.has = false
		} else if ok && n < -1 {
			a.text = "0"
		}
	}
	switch {
	case f.arg == noArg && a.has:
		return nil, fmt.Errorf("field %s takes no argument", f.name)
	case f.arg >= reqIndexName && f.arg <= reqNumber && !a.has:
		return nil, f.wrongArgument(fmt.Errorf("field %s needs an argument: %s%s", f.name, f.name, f.arg))
	}
	out, err := s.resolve(f, full, a)
	if err != nil {
		err = f.wrongArgument(err)
	}
	return out, err
}

// wrongArgument says that an argument is wrong in a way that Falco does not
// forgive: it reads those of fields of events and of fd.types itself.
func (f *field) wrongArgument(err error) error {
	switch f.arg {
	case reqIndexName, reqName, reqNumber, optNumber:
		return &filter.ArgumentError{Err: err}
	}
	return err
}

// foreignPlugins are plugins whose fields rules for system calls may use, by what
// the names of their fields begin with. The built-in engine has none of them.
var foreignPlugins = map[string]string{"json.": "json", "jevt.": "json", "k8smeta.": "k8smeta", "krsi.": "krsi"}

func foreignPlugin(field string) string {
	i := strings.IndexByte(field, '.')
	return foreignPlugins[field[:i+1]]
}

// dotted finds a field whose argument follows after a dot.
func dotted(name string) (*field, argument) {
	for i := strings.LastIndexByte(name, '.'); i > 0; i = strings.LastIndexByte(name[:i], '.') {
		f := fieldsByName[name[:i]]
		if f == nil {
			continue
		}
		switch f.arg {
		case reqIndexName, reqName, reqDotKey, optSrcDst:
			return f, argument{text: name[i+1:], has: true}
		}
		return nil, argument{}
	}
	return nil, argument{}
}

func (s *Source) resolve(f *field, full string, a argument) (*filter.Field, error) {
	out := &filter.Field{
		Name: full, Type: f.typ, List: f.list, Any: f.any, NotEqualAll: f.notEqualAll, FilterOnly: f.filterOnly,
		NoRight: f.noRight, NoTransform: f.noTran, Unsupported: f.unsupported,
	}
	get := f.get
	if f.with != nil {
		var err error
		if get, err = f.with(s, a, out); err != nil {
			return nil, err
		}
	}
	if out.Unsupported != "" {
		return out, nil
	}
	out.Get = s.reader(get)
	if f.single != nil && f.any == out.Any && out.Output == nil {
		out.Output = s.reader(f.single)
	}
	switch {
	case out.Format != nil: // made for the argument
	case f.print == printHex:
		out.Format = func(_ any, v *filter.Value) string {
			return strings.ToUpper(strconv.FormatUint(uint64(uint32(v.Num)), 16))
		}
	case f.print == printPadded:
		out.Format = func(_ any, v *filter.Value) string { return fmt.Sprintf("%09d", v.Num) }
	case f.print == printTime:
		out.JSON = func(ev any, _ *filter.Value) any { return ev.(*event.Event).Time }
	case out.Type == filter.ByteBuf:
		out.Format = func(_ any, v *filter.Value) string { return event.Printable(v.Str) }
	case f.name == "fd.nameraw":
		out.Format = func(ev any, v *filter.Value) string { // as it was given, unless the call failed
			if e, ok := ev.(*event.Event); ok && currentFD(e) != nil {
				return v.Str
			}
			return event.Sanitize(v.Str)
		}
	case strings.HasPrefix(f.name, "fd.") && out.Type == filter.CharBuf:
		out.Format = func(_ any, v *filter.Value) string { return event.Sanitize(v.Str) }
	}
	if out.Type == filter.RelTime && strings.HasPrefix(f.name, "evt.reltime") || strings.HasPrefix(f.name, "evt.rawtime") ||
		strings.HasPrefix(f.name, "evt.deltatime") {
		out.JSON = func(_ any, v *filter.Value) any { return v.Num } // numbers, also those printed padded
	}
	if out.List {
		out.Format = nil
	}
	return out, nil
}

// reader adapts a getter to events of any type; those of other sources have no
// value.
func (s *Source) reader(get getter) func(any, *filter.Value) bool {
	return func(ev any, v *filter.Value) bool {
		e, ok := ev.(*event.Event)
		return ok && get(s, e, v)
	}
}

// firstEvent is the time of the first event of the recording, or that the source has
// seen.
func (s *Source) firstEvent(e *event.Event) int64 {
	switch {
	case e.Start < 0:
		return 0
	case e.Start > 0:
		return e.Start
	}
	s.Observe(e)
	return s.first.Load()
}

// Observe notes when the first event was.
func (s *Source) Observe(ev any) {
	if e, ok := ev.(*event.Event); ok && s.first.Load() == 0 {
		s.first.CompareAndSwap(0, e.Time)
	}
}

func suggest(s string, names []string) string {
	if n := spelling.Nearest(s, names); n != "" {
		return fmt.Sprintf(", did you mean %q?", n)
	}
	return ""
}

var fieldNames = sync.OnceValue(func() []string {
	names := make([]string, 0, len(table))
	for i := range table {
		if !table[i].hidden {
			names = append(names, table[i].name)
		}
	}
	return names
})

// unknownField looks for a similar name only when it is printed: the compiler
// also asks whether values of conditions happen to be fields.
type unknownField struct{ name string }

func (e *unknownField) Error() string {
	return fmt.Sprintf("unknown field %q%s", e.name, suggest(e.name, fieldNames()))
}

// FieldDoc describes a field of the table, for documentation.
type FieldDoc struct {
	Class, Name string
	Type        filter.Type
	List        bool
	Argument    string
	Unsupported string // empty when the engine knows the field
}

// Fields lists all fields of system call events that Falco lists.
func Fields() []FieldDoc {
	var docs []FieldDoc
	for i := range table {
		f := &table[i]
		if f.hidden {
			continue
		}
		d := FieldDoc{Class: f.class, Name: f.name, Type: f.typ, List: f.list, Argument: f.arg.String(), Unsupported: f.unsupported}
		if f.name == "evt.around" {
			d.Unsupported = aroundUnsupported
		}
		docs = append(docs, d)
	}
	return docs
}
