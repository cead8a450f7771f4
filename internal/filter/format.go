// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"errors"
	"fmt"
	"strings"
)

// FormatPart is a part of a rule's output: text as it is, or a field, perhaps
// in transformers.
type FormatPart struct {
	Text    string
	Operand *Operand // nil for plain text
	Field   *Field   // what the innermost part of Operand resolves to
	Width   int      // of %20proc.name; 0 when not given
}

// ParseFormat cuts a rule's output into its parts: %field, %field[argument],
// %transformer(field), and text. A field's name ends where no longer name is
// known to the source.
func ParseFormat(src Source, format string) ([]FormatPart, error) {
	if format == "" {
		return nil, fmt.Errorf("the output is empty")
	}
	// An output that begins with * may lack values; all of Falco's may.
	// %container.info is left over from old rules; Falco removes it.
	rest := strings.ReplaceAll(strings.TrimPrefix(format, "*"), "%container.info", "")
	var parts []FormatPart
	for {
		text, after, found := strings.Cut(rest, "%")
		if text != "" {
			parts = append(parts, FormatPart{Text: text})
		}
		if !found {
			return parts, nil
		}
		if after == "" {
			return nil, fmt.Errorf("the output ends with a %%")
		}
		part, rest2, err := formatField(src, after)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
		rest = rest2
	}
}

func formatField(src Source, s string) (FormatPart, string, error) {
	var part FormatPart
	for s != "" && s[0] >= '0' && s[0] <= '9' {
		part.Width = min(part.Width*10+int(s[0]-'0'), 1<<20)
		s = s[1:]
	}
	if s == "" && part.Width > 0 {
		return part, "", fmt.Errorf("the output ends with a number behind a %%")
	}
	var funcs []string
next:
	for _, t := range transformers {
		if strings.HasPrefix(s, t+"(") {
			funcs = append(funcs, t)
			s = s[len(t)+1:]
			goto next
		}
	}
	o, field, n, err := longestField(src, s)
	if err != nil {
		return part, "", err
	}
	if field.FilterOnly {
		return part, "", fmt.Errorf("%s can be used in conditions only, not in outputs", o.Name())
	}
	s = s[n:]
	t, list := field.Type, field.List
	for i := len(funcs) - 1; i >= 0; i-- {
		if !strings.HasPrefix(s, ")") {
			return part, "", fmt.Errorf("expected ')' after %s in the output", o)
		}
		s = s[1:]
		var ok bool
		if t, list, ok = transformType(funcs[i], t, list); (!ok || field.NoTransform) && !field.Foreign {
			return part, "", fmt.Errorf("%s() does not take %s of type %s", funcs[i], o, field.Type)
		}
		o = &Operand{Func: funcs[i], Args: []*Operand{o}}
	}
	part.Operand, part.Field = o, field
	return part, s, nil
}

// longestField resolves the longest field's name at the start of s. It returns
// how many bytes the name and its argument take. Brackets behind a field that
// takes no argument, or not this one, are text.
//
// Of a field of a plugin, Falco looks at all up to the next blank: a bracket in
// there must follow the name, hold an argument that the field takes, and be closed.
func longestField(src Source, s string) (*Operand, *Field, int, error) {
	full := fieldName(s)
	if full == 0 {
		return nil, nil, 0, noField(s)
	}
	var first error
	for n := full; n > 0; n-- {
		if fieldName(s[:n]) != n {
			continue
		}
		name, arg, end := s[:n], "", -1
		if n < len(s) && s[n] == '[' {
			if end = strings.IndexByte(s[n:], ']'); end > 0 {
				arg, end = s[n+1:n+end], n+end+1
			}
		}
		if end > 0 {
			field, err := src.Field(name, arg, true)
			var wrong *ArgumentError
			switch {
			case err == nil && field.Plugin && strings.Contains(arg, " "):
				return nil, nil, 0, fmt.Errorf("the argument of %s holds a blank, at which Falco ends it", name)
			case err == nil:
				return &Operand{Field: name, Arg: arg, HasArg: true}, field, end, nil
			case errors.As(err, &wrong):
				return nil, nil, 0, err
			case first == nil:
				first = err
			}
		}
		field, err := src.Field(name, "", false)
		var wrong *ArgumentError
		isArgument := errors.As(err, &wrong)
		if err != nil && !(isArgument && wrong.Plugin) { // a shorter name may be one
			if first == nil {
				first = err
			}
			if full-n > 64 {
				break
			}
			continue
		}
		if err != nil || field.Plugin {
			word, _, _ := strings.Cut(s, " ")
			if i := strings.IndexByte(word, '['); i > n {
				return nil, nil, 0, &UnknownFieldError{fmt.Errorf("no field of a plugin begins '%%%s': put a blank behind %s", cutText(word), name)}
			} else if i == n {
				return nil, nil, 0, fmt.Errorf("the brackets behind %s are not closed before a blank", name)
			}
		}
		if err != nil {
			return nil, nil, 0, err
		}
		return &Operand{Field: name}, field, n, nil
	}
	var wrong *ArgumentError
	if errors.As(first, &wrong) {
		return nil, nil, 0, first
	}
	return nil, nil, 0, &UnknownFieldError{first}
}

// UnknownFieldError says that an output names a field that the source does not
// have, which a rule may ask to be forgiven.
type UnknownFieldError struct{ Err error }

func (e *UnknownFieldError) Error() string { return e.Err.Error() }
func (e *UnknownFieldError) Unwrap() error { return e.Err }

func noField(s string) error {
	word, _, _ := strings.Cut(s, " ")
	return &UnknownFieldError{fmt.Errorf("invalid field in the output: '%%%s'", cutText(word))}
}

func cutText(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), 40)], "")
}

// Eval reads the operand of a part from an event, for outputs. The text is what
// Falco prints; it is not ok when the event has no value, or when v.Unknown says
// why it is not known.
func (p *FormatPart) Eval(ev any) (v Value, t Type, list, ok bool) {
	t, list = p.Field.Type, p.Field.List
	get := p.Field.Get
	if p.Field.Output != nil {
		get = p.Field.Output
	}
	if get == nil || !get(ev, &v) {
		return v, t, list, false
	}
	v, t, list, ok = applyFuncs(p.Operand, v, t, list)
	return v, t, list, ok
}

func applyFuncs(o *Operand, v Value, t Type, list bool) (Value, Type, bool, bool) {
	if o.Func == "" {
		return v, t, list, true
	}
	v, t, list, ok := applyFuncs(o.Args[0], v, t, list)
	if !ok {
		return v, t, list, false
	}
	ok = transform(o.Func, list, &v, new([]byte))
	t, list, _ = transformType(o.Func, t, list)
	return v, t, list, ok
}
