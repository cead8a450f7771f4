// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/falcotest/go-falcotest/internal/filter"
)

// eventFields are the generic fields that Falco has for events of every
// source: userspace/libsinsp/sinsp_filtercheck_gen_event.cpp of libs 0.23.2.
var eventFields = []fieldDef{
	numeric("evt.num", filter.Uint64, nil, func(e *Event) int64 { return int64(e.Num) }),
	computed("evt.time", clock("15:04:05.000000000")),
	computed("evt.time.s", clock("15:04:05")),
	computed("evt.time.iso8601", func(e *Event, v *filter.Value) bool {
		v.Str = e.Time.UTC().Format("2006-01-02T15:04:05.000000000-0700")
		return true
	}),
	computed("evt.datetime", clock("2006-01-02 15:04:05.000000000")),
	computed("evt.datetime.s", clock("2006-01-02 15:04:05")),
	numeric("evt.rawtime", filter.AbsTime, nil, func(e *Event) int64 { return e.Time.UnixNano() }),
	numeric("evt.rawtime.s", filter.AbsTime, nil, func(e *Event) int64 { return e.Time.Unix() }),
	numeric("evt.rawtime.ns", filter.AbsTime, padded, func(e *Event) int64 { return int64(e.Time.Nanosecond()) }),
	numeric("evt.reltime", filter.RelTime, padded, (*Event).sinceFirst),
	numeric("evt.reltime.s", filter.RelTime, nil, func(e *Event) int64 { return e.sinceFirst() / int64(time.Second) }),
	numeric("evt.reltime.ns", filter.RelTime, padded, func(e *Event) int64 { return e.sinceFirst() % int64(time.Second) }),
	computed("evt.pluginname", constant("k8saudit")),
	computed("evt.plugininfo", func(e *Event, v *filter.Value) bool { v.Str = e.JSON(); return true }),
	computed("evt.source", constant(SourceName)),
	numeric("evt.is_async", filter.Bool, nil, func(*Event) int64 { return 0 }),
	computed("evt.asynctype", func(*Event, *filter.Value) bool { return false }),
	computed("evt.hostname", func(_ *Event, v *filter.Value) bool { v.Str = hostname(); return v.Str != "" }),
}

// sinceFirst returns the nanoseconds since the first event. Audit events may
// come out of order; Falco's subtraction then wraps around as this does.
func (e *Event) sinceFirst() int64 { return e.Time.Sub(e.First).Nanoseconds() }

func numeric(name string, typ filter.Type, format func(any, *filter.Value) string, get func(*Event) int64) fieldDef {
	return fieldDef{name: name, typ: typ, format: format, get: func(string, index) getter {
		return func(e *Event, v *filter.Value) bool { v.Num = get(e); return true }
	}}
}

// padded renders nanoseconds with leading zeros.
func padded(_ any, v *filter.Value) string { return fmt.Sprintf("%09d", uint64(v.Num)) }

// clock renders the time in the machine's zone, as Falco does unless told
// otherwise.
func clock(layout string) getter {
	return func(e *Event, v *filter.Value) bool { v.Str = e.Time.Local().Format(layout); return true }
}

func constant(s string) getter {
	return func(_ *Event, v *filter.Value) bool { v.Str = s; return true }
}

var hostname = sync.OnceValue(func() string {
	if name := os.Getenv("FALCO_HOSTNAME"); name != "" {
		return name
	}
	name, _ := os.Hostname()
	return name
})
