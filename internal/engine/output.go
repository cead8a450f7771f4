// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/rules"
)

// missing is what outputs print for a value that an event does not have, unknown
// for one that is not known.
const missing, unknown = alert.Missing, alert.Unknown

// timeFormat is how alerts show their time: the field that is in the output
// fields of every alert, as in Falco's JSON, and the text before the output.
type timeFormat struct {
	field, layout string
	utc           bool
}

var (
	timeOfDay = timeFormat{field: "evt.time", layout: "15:04:05.000000000"}
	iso8601   = timeFormat{field: "evt.time.iso8601", layout: "2006-01-02T15:04:05.000000000-0700", utc: true}
)

// output makes the text and the fields of a rule's alerts.
type output struct {
	compiled string // the rule's output with what Falco appends
	parts    []filter.FormatPart
	fields   []outputField // each once
}

type outputField struct {
	name  string
	field *filter.Field
}

// CompileOutput returns a rule's output as Falco compiles it: without the white
// space around it, and with the fields that are suggested for the source.
func CompileOutput(src filter.Source, format string) string {
	return strings.ReplaceAll(strings.TrimSpace(format), "%container.info", "") + suggestedOutput(src)
}

// newOutput makes the output of a rule, whose own parts are parsed already.
// suffix are the parts of what is suggested for the source.
func newOutput(src filter.Source, r *rules.Rule, suffix []filter.FormatPart, extra []string) (*output, error) {
	o := &output{compiled: CompileOutput(src, r.Output), parts: trimParts(r.Format)}
	o.parts = append(o.parts, suffix...)
	seen := map[string]bool{}
	add := func(name string, f *filter.Field) {
		if !seen[name] {
			seen[name] = true
			o.fields = append(o.fields, outputField{name, f})
		}
	}
	for i := range o.parts {
		if p := &o.parts[i]; p.Operand != nil {
			inner := p.Operand
			for inner.Func != "" {
				inner = inner.Args[0]
			}
			add(inner.Name(), p.Field)
		}
	}
	for _, name := range extra {
		parts, err := filter.ParseFormat(src, "%"+strings.TrimPrefix(name, "%"))
		if err != nil {
			return nil, fmt.Errorf("extra output field %s: %w", name, err)
		}
		if len(parts) != 1 || parts[0].Operand == nil || parts[0].Operand.Func != "" {
			return nil, fmt.Errorf("extra output field %q: want the name of one field", name)
		}
		add(parts[0].Operand.Name(), parts[0].Field)
	}
	return o, nil
}

// trimParts removes the white space around an output.
func trimParts(parts []filter.FormatPart) []filter.FormatPart {
	parts = slices.Clone(parts)
	if len(parts) > 0 {
		parts[0].Text = strings.TrimLeft(parts[0].Text, " \t\n\r\f\v")
		last := &parts[len(parts)-1]
		last.Text = strings.TrimRight(last.Text, " \t\n\r\f\v")
	}
	return parts
}

// text is the output with its fields resolved, without time and priority.
func (o *output) text(b *strings.Builder, ev any) {
	for i := range o.parts {
		p := &o.parts[i]
		if p.Operand == nil {
			b.WriteString(p.Text)
			continue
		}
		s := missing
		if v, t, list, ok := p.Eval(ev); ok {
			s = printed(p, ev, &v, t, list)
		} else if v.Unknown != nil {
			s = unknown
		}
		if p.Width > 0 { // as many bytes, no more and no less
			s = s[:min(len(s), p.Width)]
			b.WriteString(s)
			b.WriteString(strings.Repeat(" ", p.Width-len(s)))
			continue
		}
		b.WriteString(s)
	}
}

func printed(p *filter.FormatPart, ev any, v *filter.Value, t filter.Type, list bool) string {
	if p.Operand.Func == "" && p.Field.Format != nil {
		return p.Field.Format(ev, v)
	}
	return v.Text(t, list)
}

// values are the output fields with the types that they have in Falco's JSON.
func (o *output) values(ev any, timeField string, nanos int64) map[string]any {
	m := make(map[string]any, len(o.fields)+1)
	for _, f := range o.fields {
		m[f.name] = jsonValue(f.field, ev)
	}
	m[timeField] = json.Number(strconv.FormatInt(nanos, 10))
	return m
}

func jsonValue(f *filter.Field, ev any) any {
	get := f.Get
	if f.Output != nil {
		get = f.Output
	}
	var v filter.Value
	if get == nil || !get(ev, &v) {
		if v.Unknown != nil {
			return unknown
		}
		return nil
	}
	if f.JSON != nil {
		if n, ok := f.JSON(ev, &v).(int64); ok {
			return json.Number(strconv.FormatInt(n, 10))
		}
		return f.JSON(ev, &v)
	}
	if f.List {
		if len(v.List) == 0 {
			return nil
		}
		list := make([]any, len(v.List))
		for i := range v.List {
			list[i] = plainJSON(f, ev, &v.List[i])
		}
		return list
	}
	return plainJSON(f, ev, &v)
}

func plainJSON(f *filter.Field, ev any, v *filter.Value) any {
	switch {
	case f.Format != nil:
		return f.Format(ev, v)
	case f.Type == filter.Bool:
		return v.Num != 0
	case f.Type == filter.Double:
		return v.Float
	case f.Type == filter.CharBuf || f.Type == filter.ByteBuf || f.Type == filter.IPAddr || f.Type == filter.IPNet:
		return v.Text(f.Type, false)
	}
	return json.Number(v.Text(f.Type, false))
}

// prefix is what Falco puts before an output: time and priority.
func (f *timeFormat) prefix(b *strings.Builder, nanos int64, p alert.Priority) {
	var buf [40]byte
	at := time.Unix(0, nanos)
	if f.utc {
		at = at.UTC()
	}
	b.Write(at.AppendFormat(buf[:0], f.layout))
	b.WriteString(": ")
	b.WriteString(p.String())
	b.WriteByte(' ')
}
