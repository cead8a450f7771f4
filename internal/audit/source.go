// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/falcotest/go-falcotest/internal/filter"
)

// SourceName is the name of the source in rules.
const SourceName = "k8s_audit"

// Source returns the source k8s_audit for the rules engine. The events that
// its fields read are of type *[Event]. Fields can be resolved concurrently.
func Source() filter.Source { return source{} }

type source struct{}

func (source) Name() string { return SourceName }

// Field resolves a field. Its rules for arguments are those of
// userspace/libsinsp/plugin_filtercheck.cpp of libs 0.23.2.
func (source) Field(name, arg string, hasArg bool) (*filter.Field, error) {
	def, ok := byName[name]
	if !ok {
		err := fmt.Errorf("unknown field %q of source %s", name, SourceName)
		if near := nearest(name); near != "" {
			err = fmt.Errorf("%w: did you mean %s?", err, near)
		}
		return nil, err
	}
	full := name
	var i index
	switch {
	case hasArg && def.arg == noArgument:
		return nil, fmt.Errorf("field %s takes no argument, but has [%s]", name, arg)
	case !hasArg && def.arg == keyArgument:
		return nil, fmt.Errorf("field %s needs an argument: write %s[…]", name, name)
	case hasArg && def.arg == indexArgument:
		n, err := strconv.ParseUint(arg, 10, 64)
		if err != nil || strings.HasPrefix(arg, "+") || len(arg) > 1 && arg[0] == '0' {
			return nil, fmt.Errorf("field %s[%s]: want a number such as 0 or 12 in the brackets, without leading zeros", name, arg)
		}
		i = index{n, true}
	}
	if hasArg {
		full += "[" + arg + "]"
	}
	get := def.get(arg, i)
	return &filter.Field{
		Name: full,
		Type: def.typ,
		List: def.list,
		Get: func(ev any, v *filter.Value) bool {
			e, ok := ev.(*Event)
			return ok && get(e, v)
		},
		Format: def.format,
	}, nil
}

var byName = func() map[string]*fieldDef {
	m := make(map[string]*fieldDef, len(fieldDefs))
	for i := range fieldDefs {
		m[fieldDefs[i].name] = &fieldDefs[i]
	}
	return m
}()

// nearest returns the field whose name is most like name, or "".
func nearest(name string) string {
	best, bestDistance := "", len(name)/2+1
	for i := range fieldDefs {
		if d := distance(name, fieldDefs[i].name); d < bestDistance {
			best, bestDistance = fieldDefs[i].name, d
		}
	}
	return best
}

// distance is the Levenshtein distance of two strings, in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
