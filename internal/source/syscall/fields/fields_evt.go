// SPDX-License-Identifier: Apache-2.0

package fields

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/filter"
)

const second = int64(time.Second)

var evtFields = []field{
	{class: "evt", name: "evt.num", typ: filter.Uint64, get: num(func(e *event.Event) (int64, bool) { return int64(e.Num), true })},
	{class: "evt", name: "evt.time", typ: filter.CharBuf, print: printTime, get: clock("15:04:05.000000000")},
	{class: "evt", name: "evt.time.s", typ: filter.CharBuf, print: printTime, get: clock("15:04:05")},
	{class: "evt", name: "evt.time.iso8601", typ: filter.CharBuf, print: printTime, get: str(func(e *event.Event) (string, bool) {
		return time.Unix(0, e.Time).UTC().Format("2006-01-02T15:04:05.000000000-0700"), true
	})},
	{class: "evt", name: "evt.datetime", typ: filter.CharBuf, print: printTime, get: clock("2006-01-02 15:04:05.000000000")},
	{class: "evt", name: "evt.datetime.s", typ: filter.CharBuf, print: printTime, get: clock("2006-01-02 15:04:05")},
	{class: "evt", name: "evt.rawtime", typ: filter.AbsTime, get: num(func(e *event.Event) (int64, bool) { return e.Time, true })},
	{class: "evt", name: "evt.rawtime.s", typ: filter.AbsTime, get: num(func(e *event.Event) (int64, bool) { return e.Time / second, true })},
	{class: "evt", name: "evt.rawtime.ns", typ: filter.AbsTime, print: printPadded, get: num(func(e *event.Event) (int64, bool) { return e.Time % second, true })},
	{class: "evt", name: "evt.reltime", typ: filter.RelTime, print: printPadded, get: relTime(func(d int64) int64 { return d })},
	{class: "evt", name: "evt.reltime.s", typ: filter.RelTime, get: relTime(func(d int64) int64 { return d / second })},
	{class: "evt", name: "evt.reltime.ns", typ: filter.RelTime, print: printPadded, get: relTime(func(d int64) int64 { return d % second })},
	{class: "evt", name: "evt.pluginname", typ: filter.CharBuf, get: never},
	{class: "evt", name: "evt.plugininfo", typ: filter.CharBuf, get: never},
	{class: "evt", name: "evt.source", typ: filter.CharBuf, get: str(func(*event.Event) (string, bool) { return "syscall", true })},
	{class: "evt", name: "evt.is_async", typ: filter.Bool, get: boolean(func(e *event.Event) bool { return attrs(e)&event.Meta != 0 })},
	{class: "evt", name: "evt.asynctype", typ: filter.CharBuf, get: str(func(e *event.Event) (string, bool) {
		return typeName(e), attrs(e)&event.Meta != 0
	})},
	{class: "evt", name: "evt.hostname", typ: filter.CharBuf, get: str(func(e *event.Event) (string, bool) {
		return e.Machine().Hostname(), true
	})},

	{class: "evt", name: "evt.deltatime", typ: filter.RelTime, with: deltaTime(func(d int64) int64 { return d })},
	{class: "evt", name: "evt.deltatime.s", typ: filter.RelTime, with: deltaTime(func(d int64) int64 { return d / second })},
	{class: "evt", name: "evt.deltatime.ns", typ: filter.RelTime, print: printPadded, with: deltaTime(func(d int64) int64 { return d % second })},
	{class: "evt", name: "evt.type", typ: filter.CharBuf, get: str(func(e *event.Event) (string, bool) { return typeName(e), true })},
	{class: "evt", name: "evt.type.is", typ: filter.Uint32, arg: reqName, with: typeIs, single: never /* Falco has no format to print it in */},
	{class: "evt", name: "syscall.type", typ: filter.CharBuf, get: str(func(e *event.Event) (string, bool) {
		return typeName(e), e.Def().IsSyscall()
	})},
	{class: "evt", name: "evt.category", typ: filter.CharBuf, get: fdTypeKnown(isIO, str(category))},
	{class: "evt", name: "evt.cpu", typ: filter.Int16, get: num(func(e *event.Event) (int64, bool) { return int64(e.CPU), true })},
	{class: "evt", name: "evt.args", typ: filter.CharBuf, get: args},
	{class: "evt", name: "evt.arg", typ: filter.CharBuf, arg: reqIndexName, with: argText},
	{class: "evt", name: "evt.rawarg", typ: filter.Dynamic, arg: reqName, with: rawArg, noRight: true, noTran: true},
	{class: "evt", name: "evt.info", typ: filter.CharBuf, get: args},
	{class: "evt", name: "evt.buffer", typ: filter.ByteBuf, get: buffer, single: bufferText},
	{class: "evt", name: "evt.buflen", typ: filter.Uint64, get: num(func(e *event.Event) (int64, bool) {
		return e.Ret, isIO(e) && currentFD(e) != nil && hasReturn(e) && e.Ret >= 0
	})},
	{class: "evt", name: "evt.res", typ: filter.CharBuf, get: result},
	{class: "evt", name: "evt.rawres", typ: filter.Int64, get: num(func(e *event.Event) (int64, bool) { return e.Ret, hasReturn(e) })},
	{class: "evt", name: "evt.failed", typ: filter.Bool, get: num(errorCount)},
	{class: "evt", name: "evt.is_io", typ: filter.Bool, get: boolean(func(e *event.Event) bool { return attrs(e)&(event.ReadsFD|event.WritesFD) != 0 })},
	{class: "evt", name: "evt.is_io_read", typ: filter.Bool, get: boolean(func(e *event.Event) bool { return attrs(e)&event.ReadsFD != 0 })},
	{class: "evt", name: "evt.is_io_write", typ: filter.Bool, get: boolean(func(e *event.Event) bool { return attrs(e)&event.WritesFD != 0 })},
	{class: "evt", name: "evt.io_dir", typ: filter.CharBuf, get: str(func(e *event.Event) (string, bool) {
		// Falco's documentation says r and w; it prints the words.
		switch a := attrs(e); {
		case a&event.WritesFD != 0:
			return "write", true
		case a&event.ReadsFD != 0:
			return "read", true
		}
		return "", false
	})},
	{class: "evt", name: "evt.is_wait", typ: filter.Bool, get: boolean(func(e *event.Event) bool { return attrs(e)&event.Waits != 0 })},
	{class: "evt", name: "evt.is_syslog", typ: filter.Bool, get: fdNameKnown(boolean(func(e *event.Event) bool {
		fd := e.FD
		return attrs(e)&event.WritesFD != 0 && fd != nil && strings.Contains(fd.Name, "/dev/log")
	}))},
	{class: "evt", name: "evt.count", typ: filter.Uint32, get: num(func(*event.Event) (int64, bool) { return 1, true })},
	{class: "evt", name: "evt.count.error", typ: filter.Uint32, get: num(errorCount)},
	{class: "evt", name: "evt.count.error.file", typ: filter.Uint32, get: fdTypeKnown(anyEvent, num(func(e *event.Event) (int64, bool) {
		if e.FD != nil && !isFileFD(e.FD) || e.FD == nil && !opensFile(e) {
			return 0, false
		}
		return errorCount(e)
	}))},
	{class: "evt", name: "evt.count.error.net", typ: filter.Uint32, get: fdTypeKnown(anyEvent, num(func(e *event.Event) (int64, bool) {
		if e.FD != nil && !isNetFD(e.FD) || e.FD == nil && !opensSocket(e) {
			return 0, false
		}
		return errorCount(e)
	}))},
	{class: "evt", name: "evt.count.error.memory", typ: filter.Uint32, get: num(func(e *event.Event) (int64, bool) {
		if e.Def().Category != event.CatMemory {
			return 0, false
		}
		return errorCount(e)
	})},
	{class: "evt", name: "evt.count.error.other", typ: filter.Uint32, get: fdTypeKnown(anyEvent, num(func(e *event.Event) (int64, bool) {
		if e.FD != nil && (isFileFD(e.FD) || isNetFD(e.FD)) ||
			e.FD == nil && (opensFile(e) || opensSocket(e) || e.Def().Category == event.CatMemory) {
			return 0, false
		}
		return errorCount(e)
	}))},
	{class: "evt", name: "evt.count.exit", typ: filter.Uint32, get: num(func(e *event.Event) (int64, bool) { return 1, e.Def().IsSyscall() })},
	{class: "evt", name: "evt.around", typ: filter.Uint64, arg: reqNumber, with: around, noRight: true, noTran: true},
	{class: "evt", name: "evt.abspath", typ: filter.CharBuf, arg: optSrcDst, with: absPath},
	{class: "evt", name: "evt.is_open_read", typ: filter.Bool, get: openKnown(openFlagsParam, boolean(func(e *event.Event) bool { return openFlags(e)&event.ORdonly != 0 }))},
	{class: "evt", name: "evt.is_open_write", typ: filter.Bool, get: openKnown(openFlagsParam, boolean(func(e *event.Event) bool { return openFlags(e)&event.OWronly != 0 }))},
	{class: "evt", name: "evt.is_open_exec", typ: filter.Bool, get: openKnown(openModeParam, openKnown(openFlagsParam, boolean(isOpenExec)))},
	{class: "evt", name: "evt.is_open_create", typ: filter.Bool, get: openKnown(openFlagsParam, boolean(func(e *event.Event) bool {
		f := openFlags(e)
		return f&event.OFCreated != 0 || f&event.OTmpfile != 0 && e.Ret >= 0
	}))},

	// Deprecated, and constant since Falco has no enter events.
	{class: "evt", name: "evt.dir", typ: filter.CharBuf, hidden: true, get: str(func(e *event.Event) (string, bool) {
		if e.Def().IsSyscall() {
			return "<", true
		}
		return ">", true
	})},
	{class: "evt", name: "evt.latency", typ: filter.RelTime, hidden: true, get: zero},
	{class: "evt", name: "evt.latency.s", typ: filter.RelTime, hidden: true, get: zero},
	{class: "evt", name: "evt.latency.ns", typ: filter.RelTime, print: printPadded, hidden: true, get: zero},
	{class: "evt", name: "evt.latency.human", typ: filter.CharBuf, hidden: true, get: str(func(*event.Event) (string, bool) { return "0ns", true })},
	{class: "evt", name: "evt.wait_latency", typ: filter.RelTime, hidden: true, get: zero},
}

func attrs(e *event.Event) event.Attr { return e.Def().Attrs }

func zero(_ *Source, _ *event.Event, v *filter.Value) bool {
	v.Num = 0
	return true
}

// typeName is the event's name; that of asynchronous events is a parameter.
func typeName(e *event.Event) string {
	if e.Type == event.EvtAsyncevent && len(e.Params) > 1 && e.Params[1].Str != "" {
		return e.Params[1].Str
	}
	return e.Type.Def().Name
}

// clock formats the event's time in the machine's time zone, as Falco does.
func clock(layout string) getter {
	return str(func(e *event.Event) (string, bool) { return time.Unix(0, e.Time).Format(layout), true })
}

// relTime counts from the first event that the engine saw.
func relTime(part func(int64) int64) getter {
	return func(s *Source, e *event.Event, v *filter.Value) bool {
		v.Num = part(e.Time - s.firstEvent(e))
		return true
	}
}

// deltaTime is the time since the event for which the same field was last read.
// Falco counts like that, for each use of the field in rules by itself.
func deltaTime(part func(int64) int64) func(*Source, argument, *filter.Field) (getter, error) {
	return func(*Source, argument, *filter.Field) (getter, error) {
		var last atomic.Int64
		return func(_ *Source, e *event.Event, v *filter.Value) bool {
			if prev := last.Swap(e.Time); prev != 0 {
				v.Num = part(e.Time - prev)
			} else {
				v.Num = 0
			}
			return true
		}, nil
	}
}

func typeIs(_ *Source, arg argument, _ *filter.Field) (getter, error) {
	t, ok := event.ByName(arg.text)
	if !ok {
		return nil, fmt.Errorf("unknown event type %q%s", arg.text, suggest(arg.text, eventNames()))
	}
	return boolean(func(e *event.Event) bool { return e.Type == t }), nil
}

var categoryNames = [...]string{
	event.CatUnknown: "unknown", event.CatOther: "other", event.CatFile: "file", event.CatNet: "net", event.CatIPC: "IPC",
	event.CatMemory: "memory", event.CatProcess: "process", event.CatSleep: "sleep", event.CatSystem: "system",
	event.CatSignal: "signal", event.CatUser: "user", event.CatTime: "time", event.CatProcessing: "processing",
	event.CatWait: "wait", event.CatScheduler: "scheduler", event.CatInternal: "internal",
}

func category(e *event.Event) (string, bool) {
	c := e.Def().Category
	if c < event.CatIORead || c > event.CatIOOther {
		return categoryNames[c], true
	}
	if e.FD == nil {
		return "unknown", true
	}
	switch e.FD.Type {
	case event.FDFile, event.FDDirectory:
		return "file", true
	case event.FDIPv4, event.FDIPv4Server, event.FDIPv6, event.FDIPv6Server:
		return "net", true
	case event.FDPipe, event.FDUnix, event.FDEvent, event.FDSignal, event.FDInotify, event.FDUserfault:
		return "ipc", true
	}
	return "unknown", true
}

func anyEvent(*event.Event) bool { return true }

// fdTypeKnown is the getter of what hangs, for some events, on the type of the
// event's descriptor.
func fdTypeKnown(hangs func(*event.Event) bool, get getter) getter {
	return func(s *Source, e *event.Event, v *filter.Value) bool {
		if e.FD != nil && e.FD.Unknown.Type != event.Known && hangs(e) {
			return unknown(v, e.FD.Unknown.Type)
		}
		return get(s, e, v)
	}
}

func fdNameKnown(get getter) getter {
	return func(s *Source, e *event.Event, v *filter.Value) bool {
		if e.FD != nil && e.FD.Unknown.Name != event.Known && attrs(e)&event.WritesFD != 0 {
			return unknown(v, e.FD.Unknown.Name)
		}
		return get(s, e, v)
	}
}

func args(s *Source, e *event.Event, v *filter.Value) bool {
	for i := range e.Params {
		if why := e.ParamUnknown(i); why != event.Known {
			return unknown(v, why)
		}
	}
	v.Str = e.Args()
	return true
}

// argText is evt.arg: a parameter as text. An event without a parameter of that
// name or number has no value.
func argText(_ *Source, arg argument, _ *filter.Field) (getter, error) {
	if n, ok := arg.index(); ok && arg.brackets {
		if n < 0 {
			return nil, fmt.Errorf("evt.arg[%s]: the number of a parameter counts from 0", arg.text)
		}
		return func(s *Source, e *event.Event, v *filter.Value) bool {
			if int(n) >= len(e.Def().Params) || int(n) >= len(e.Params) {
				return false
			}
			return argValue(e, int(n), v)
		}, nil
	}
	if arg.brackets {
		return nil, fmt.Errorf("evt.arg[%s]: want the number of a parameter in brackets, or evt.arg.%s", arg.text, arg.text)
	}
	index, _, err := paramIndex(arg.text)
	if err != nil {
		return nil, err
	}
	return func(s *Source, e *event.Event, v *filter.Value) bool {
		i := index.of(e)
		if i < 0 || i >= len(e.Params) {
			return false
		}
		return argValue(e, i, v)
	}, nil
}

func argValue(e *event.Event, i int, v *filter.Value) bool {
	if why := e.ParamUnknown(i); why != event.Known {
		return unknown(v, why)
	}
	v.Str = paramText(e, i)
	return true
}

// paramIndexes are the indexes of the parameter of a name, by event type.
type paramIndexes [event.NumTypes]int8

// of is the parameter's index in an event, -1 when it has none.
func (x *paramIndexes) of(e *event.Event) int {
	if e.ByNumber {
		return int(x[event.SysGetpid]) // as of all calls that are known by number alone
	}
	return int(x[e.Type])
}

// paramIndex returns, for each event type, the index of the parameter with that
// name, -1 where there is none, and the first definition that has it.
func paramIndex(name string) (*paramIndexes, *event.ParamDef, error) {
	var index paramIndexes
	var first *event.ParamDef
	for t := range event.Table {
		i := event.Table[t].Param(name)
		index[t] = int8(i)
		if i >= 0 && first == nil {
			first = &event.Table[t].Params[i]
		}
	}
	if first == nil {
		return nil, nil, fmt.Errorf("unknown event argument %q%s", name, suggest(name, paramNames()))
	}
	return &index, first, nil
}

var paramNames = sync.OnceValue(func() []string {
	seen := map[string]bool{}
	for i := range event.Table {
		for j := range event.Table[i].Params {
			seen[event.Table[i].Params[j].Name] = true
		}
	}
	names := make([]string, 0, len(seen))
	for n := range seen {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
})

var eventNames = sync.OnceValue(func() []string {
	names := make([]string, 0, len(event.Table))
	for i := range event.Table[1:] {
		names = append(names, event.Table[i+1].Name)
	}
	return names
})

// rawArg is evt.rawarg: a parameter by its value. Its type is that of the first
// event with such a parameter, as Falco takes it to check the condition.
func rawArg(_ *Source, arg argument, f *filter.Field) (getter, error) {
	if arg.brackets {
		return nil, fmt.Errorf("evt.rawarg takes the name of a parameter after a dot: evt.rawarg.flags")
	}
	index, def, err := paramIndex(arg.text)
	if err != nil {
		return nil, err
	}
	switch def.Type {
	case event.PSockAddr, event.PSockTuple, event.PFDList, event.PSigSet:
		f.Type, f.NoCompare = filter.ByteBuf, true
		f.Unsupported = "Falco shows the bytes of " + def.Type.String() + " parameters in the form that its driver writes"
		return nil, nil
	case event.PUID, event.PGID:
		f.NoCompare = true
	case event.PSigType, event.PSyscallID, event.PByteBuf:
		f.NoConst = true
	}
	f.Type = rawType(def.Type)
	text := f.Type == filter.CharBuf || f.Type == filter.ByteBuf
	if !text {
		f.Format = func(ev any, v *filter.Value) string { return rawText(ev, index, v) }
		f.JSON = func(ev any, v *filter.Value) any {
			if e, ok := ev.(*event.Event); ok && e.Def().Params[index.of(e)].Format == event.FmtDec {
				return v.Num
			}
			return rawText(ev, index, v)
		}
	}
	return func(_ *Source, e *event.Event, v *filter.Value) bool {
		i := index.of(e)
		if i < 0 || i >= len(e.Params) {
			return false
		}
		d, p := &e.Def().Params[i], &e.Params[i]
		if p.Unknown != event.Known {
			return unknown(v, p.Unknown)
		}
		t := rawType(d.Type)
		if text != (t == filter.CharBuf || t == filter.ByteBuf) {
			return false // another kind of value than the condition was checked for
		}
		if text {
			v.Str = p.Str
			if p.Null {
				v.Str = "<NA>"
			} else if len(p.Strs) > 0 {
				v.Str = p.Bytes()
			}
			return t == filter.CharBuf || !p.Null
		}
		v.Num = p.Num
		return !p.Null
	}, nil
}

// rawText prints a number in the format of the event's parameter.
func rawText(ev any, index *paramIndexes, v *filter.Value) string {
	e, ok := ev.(*event.Event)
	if !ok || index.of(e) < 0 {
		return itoa(v.Num)
	}
	d := &e.Def().Params[index.of(e)]
	bits := uint64(v.Num)
	switch rawType(d.Type) {
	case filter.Uint8:
		bits = uint64(uint8(bits))
	case filter.Uint16, filter.Int16:
		bits = uint64(uint16(bits))
	case filter.Uint32, filter.Int32:
		bits = uint64(uint32(bits))
	}
	switch d.Format {
	case event.FmtHex:
		return strings.ToUpper(strconv.FormatUint(bits, 16))
	case event.FmtOct:
		return strconv.FormatUint(bits, 8)
	}
	return v.Text(rawType(d.Type), false)
}

func rawType(t event.ParamType) filter.Type {
	switch t {
	case event.PCharBuf, event.PFSPath, event.PFSRelPath:
		return filter.CharBuf
	case event.PByteBuf:
		return filter.ByteBuf
	case event.PInt16:
		return filter.Int16
	case event.PInt32:
		return filter.Int32
	case event.PUint8, event.PFlags8, event.PEnumFlags8, event.PSigType:
		return filter.Uint8
	case event.PUint16, event.PFlags16, event.PEnumFlags16, event.PSyscallID:
		return filter.Uint16
	case event.PUint32, event.PFlags32, event.PEnumFlags32, event.PMode, event.PUID, event.PGID:
		return filter.Uint32
	case event.PUint64, event.PDynamic:
		return filter.Uint64
	case event.PRelTime:
		return filter.RelTime
	case event.PAbsTime:
		return filter.AbsTime
	}
	return filter.Int64
}

func buffer(_ *Source, e *event.Event, v *filter.Value) bool {
	i := e.Def().Param("data")
	if i < 0 || i >= len(e.Params) {
		return false
	}
	if why := e.Params[i].Unknown; why != event.Known {
		return unknown(v, why)
	}
	v.Str = e.Params[i].Str
	return !e.Params[i].Null
}

// bufferText is what outputs print: Falco has a text for buffers that are not
// there.
func bufferText(_ *Source, e *event.Event, v *filter.Value) bool {
	i := e.Def().Param("data")
	if i < 0 || i >= len(e.Params) {
		return false
	}
	if why := e.Params[i].Unknown; why != event.Known {
		return unknown(v, why)
	}
	v.Str = e.ParamValue(i)
	return true
}

// hasReturn: system calls with parameters of their own return a value.
func hasReturn(e *event.Event) bool {
	d := e.Def()
	return d.IsSyscall() && d.Attrs&event.Generic == 0 && len(d.Params) > 0 && len(e.Params) > 0
}

func result(s *Source, e *event.Event, v *filter.Value) bool {
	if !hasReturn(e) {
		return false
	}
	v.Str = "SUCCESS"
	if e.Ret < 0 {
		v.Str = "" // of a call that returns a process or a size, Falco prints the number
		if typ := e.Def().Params[0].Type; typ == event.PErrno || typ == event.PFD {
			v.Str = event.ErrnoName(e.Ret)
		}
		if v.Str == "" {
			v.Str = strconv.FormatInt(e.Ret, 10)
		}
	}
	return true
}

func errorCount(e *event.Event) (int64, bool) {
	if !hasReturn(e) {
		return 0, false
	}
	if e.Ret < 0 {
		return 1, true
	}
	return 0, true
}

func isIO(e *event.Event) bool {
	c := e.Def().Category
	return c >= event.CatIORead && c <= event.CatIOOther
}

func isFileFD(fd *event.FD) bool { return fd.Type == event.FDFile || fd.Type == event.FDDirectory }

func isNetFD(fd *event.FD) bool { return fd.Type.IsIP() || fd.Type == event.FDUnix }

func opensFile(e *event.Event) bool {
	switch e.Type {
	case event.SysOpen, event.SysCreat, event.SysOpenat, event.SysOpenat2, event.SysOpenByHandleAt:
		return true
	}
	return false
}

func opensSocket(e *event.Event) bool {
	switch e.Type {
	case event.SysAccept, event.SysAccept4, event.SysConnect:
		return true
	}
	return false
}

const aroundUnsupported = "it selects by the time of a recording, and the built-in engine evaluates events as they happen"

// around is the event's time, to be compared with =D: Falco takes D as
// milliseconds before and after T.
func around(_ *Source, arg argument, f *filter.Field) (getter, error) {
	if _, err := strconv.ParseUint(arg.text, 10, 64); err != nil {
		return nil, fmt.Errorf("evt.around[%s]: want a time in nanoseconds, as evt.rawtime shows it", arg.text)
	}
	f.Unsupported = aroundUnsupported
	return nil, nil
}

// absPath is evt.abspath: of two paths, the first or .src is the old one.
func absPath(_ *Source, arg argument, _ *filter.Field) (getter, error) {
	if arg.has && (arg.brackets || arg.text != "src" && arg.text != "dst") {
		return nil, fmt.Errorf("evt.abspath.%s: want evt.abspath, evt.abspath.src or evt.abspath.dst", arg.text)
	}
	dst := arg.text == "dst"
	return func(_ *Source, e *event.Event, v *filter.Value) bool {
		name := ""
		switch e.Type {
		case event.SysRenameat, event.SysRenameat2, event.SysLinkat:
			if name = "oldpath"; dst {
				name = "newpath"
			}
		case event.SysSymlinkat:
			name = "linkpath"
		case event.SysOpenat, event.SysOpenat2, event.SysUnlinkat:
			name = "name"
		case event.SysMkdirat:
			name = "path"
		case event.SysFchmodat:
			name = "filename"
		case event.SysFchownat:
			name = "pathname"
		case event.SysOpenByHandleAt:
			if e.Ret <= 0 {
				return false
			}
			name = "path"
		default:
			return false
		}
		i := e.Def().Param(name)
		if i < 0 || i >= len(e.Params) {
			return false
		}
		if why := e.Params[i].Unknown; why != event.Known {
			return unknown(v, why)
		}
		if e.Params[i].Null || e.Thread == nil {
			return false
		}
		if d := e.Def().Params[i]; d.Type == event.PFSRelPath {
			v.Str = absIn(e, i, e.Params[d.Dirfd].Num)
			return true
		}
		v.Str = absParam(e, i)
		return true
	}, nil
}

// atCwd is AT_FDCWD.
const atCwd = -100

// absIn is a path parameter of a call that is also given a directory. A relative path
// makes that the descriptor of the event, of which fd.* fields speak from here on:
// Falco 0.43 sets it in looking the directory up (extract_abspath).
func absIn(e *event.Event, i int, dirfd int64) string {
	p := &e.Params[i]
	if dirfd == atCwd || strings.HasPrefix(p.Str, "/") {
		return absParam(e, i)
	}
	e.FD = nil
	if q := proc(e); q != nil {
		e.FD = q.FDs[dirfd]
	}
	switch {
	case p.Path != "":
		return p.Path
	case e.FD == nil:
		return event.JoinPath(unknownPath+"/", p.Str)
	}
	return event.JoinPath(e.FD.Name+"/", p.Str)
}

// absParam is a path parameter, absolute and cleaned.
func absParam(e *event.Event, i int) string {
	p := &e.Params[i]
	if p.Path != "" {
		return p.Path
	}
	if _, resolved := e.ParamText(i); resolved != "" {
		return resolved
	}
	return event.JoinPath("", p.Str)
}

// openFlags are the flags of a call that opens a file, none for other calls.
func openFlags(e *event.Event) int64 {
	i := openFlagsParam(e)
	if i == 0 || i >= len(e.Params) || e.Params[i].Null {
		return 0
	}
	return e.Params[i].Num
}

// openFlagsParam and openModeParam are the numbers of the parameters of a call
// that opens a file, 0 where it has none.
func openFlagsParam(e *event.Event) int {
	switch e.Type {
	case event.SysOpen, event.SysOpenByHandleAt:
		return 2
	case event.SysOpenat, event.SysOpenat2:
		return 3
	}
	return 0
}

func openModeParam(e *event.Event) int {
	switch e.Type {
	case event.SysCreat:
		return 2
	case event.SysOpen:
		return 3
	case event.SysOpenat, event.SysOpenat2:
		return 4
	}
	return 0
}

// openKnown is the getter of what hangs on such a parameter.
func openKnown(param func(*event.Event) int, get getter) getter {
	return func(s *Source, e *event.Event, v *filter.Value) bool {
		if i := param(e); i > 0 && i < len(e.Params) && e.Params[i].Unknown != event.Known {
			return unknown(v, e.Params[i].Unknown)
		}
		return get(s, e, v)
	}
}

func isOpenExec(e *event.Event) bool {
	mode := openModeParam(e)
	if mode == 0 || mode >= len(e.Params) || e.Params[mode].Null {
		return false
	}
	if e.Type != event.SysCreat && openFlags(e)&(event.OTmpfile|event.OCreat) == 0 {
		return false
	}
	return e.Params[mode].Num&0o111 != 0
}
