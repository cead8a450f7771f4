// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/spelling"
)

// SourceName is the name of the source in rules.
const SourceName = "k8s_audit"

// Source returns the source k8s_audit for the rules engine. The events that
// its fields read are of type *[Event]. Fields can be resolved concurrently.
func Source() filter.Source { return source{} }

type source struct{}

func (source) Name() string { return SourceName }

// Plugins are the plugins whose events and fields this package has, with their
// versions.
var Plugins = map[string]string{"k8saudit": "0.18.0", "json": "0.7.4"}

// Field resolves a field. Its rules for arguments are those of
// userspace/libsinsp/plugin_filtercheck.cpp of libs 0.23.2.
func (source) Field(name, arg string, hasArg bool) (*filter.Field, error) {
	def, ok := byName[name]
	if !ok {
		err := fmt.Errorf("unknown field %q of source %s", name, SourceName)
		if near := spelling.Nearest(name, slices.Collect(maps.Keys(byName))); near != "" {
			err = fmt.Errorf("%w: did you mean %s?", err, near)
		}
		return nil, err
	}
	full := name
	var i index
	plugin := !strings.HasPrefix(name, "evt.")
	switch {
	case hasArg && def.arg == noArgument && !plugin:
		return nil, fmt.Errorf("field %s takes no argument, but has [%s]", name, arg)
	case hasArg && def.arg == noArgument:
		return nil, wrongArgument("field %s takes no argument, but has [%s]", name, arg)
	case !hasArg && def.arg == keyArgument:
		return nil, wrongArgument("field %s needs an argument: write %s[…]", name, name)
	case hasArg && plugin && strings.ContainsAny(arg, " ]"):
		return nil, wrongArgument("field %s[%s]: Falco ends the argument of a plugin's field at a blank or a ']'", name, arg)
	case hasArg && def.arg == indexArgument:
		n, err := strconv.ParseUint(arg, 10, 64)
		if err != nil || strings.HasPrefix(arg, "+") || len(arg) > 1 && arg[0] == '0' {
			return nil, wrongArgument("field %s[%s]: want a number such as 0 or 12 in the brackets, without leading zeros", name, arg)
		}
		i = index{n, true}
	}
	if hasArg {
		full += "[" + arg + "]"
	}
	get := def.get(arg, i)
	return &filter.Field{
		Name: full, Plugin: plugin,
		Type: def.typ,
		List: def.list,
		Get: func(ev any, v *filter.Value) bool {
			e, ok := ev.(*Event)
			return ok && get(e, v)
		},
		Format: def.format,
	}, nil
}

// FieldClasses are the first parts of the names of fields.
func (source) FieldClasses() []string { return []string{"evt", "ka", "jevt", "json"} }

func wrongArgument(format string, args ...any) error {
	return &filter.ArgumentError{Err: fmt.Errorf(format, args...), Plugin: true}
}

var byName = func() map[string]*fieldDef {
	m := make(map[string]*fieldDef, len(fieldDefs))
	for i := range fieldDefs {
		m[fieldDefs[i].name] = &fieldDefs[i]
	}
	return m
}()
