// SPDX-License-Identifier: Apache-2.0

package event

import "strings"

// Def defines an event type.
type Def struct {
	Name     string // as conditions write it after evt.type
	Category Category
	Attrs    Attr
	Params   []ParamDef
}

// ParamDef defines one parameter of an event.
type ParamDef struct {
	Name    string
	Type    ParamType
	Format  Format
	Flags   []Flag      // for flags and enumerations: the names of the values
	Dynamic []DynamicAs // for [PDynamic]: what a value may be, chosen by Param.Dyn
	Dirfd   int         // for [PFSRelPath]: the index of the directory's descriptor
}

// DynamicAs is one of the types that a dynamic parameter may have.
type DynamicAs struct {
	Type   ParamType
	Format Format
}

// Param returns the index of the parameter of that name, -1 when there is none.
func (d *Def) Param(name string) int {
	for i := range d.Params {
		if d.Params[i].Name == name {
			return i
		}
	}
	return -1
}

// Attr is a set of attributes of an event type.
type Attr uint16

// The attributes.
const (
	CreatesFD     Attr = 1 << iota
	DestroysFD         // closes its descriptor
	UsesFD             // works on a descriptor
	ReadsFD            // reads data from it
	WritesFD           // writes data to it
	ModifiesState      // changes the state of the thread, its process or a descriptor
	Waits              // makes the thread wait
	Generic            // reported with its number alone
	Tracepoint         // no system call: procexit, switch …
	Plugin
	Meta // made by Falco itself: drop, container, asyncevent …
)

// IsSyscall tells whether events of the type are system calls.
func (d *Def) IsSyscall() bool { return d.Attrs&(Tracepoint|Plugin|Meta) == 0 }

// Category is what evt.category tells of an event type. The three that begin
// with CatIO depend on the descriptor: file, net, ipc ….
type Category uint8

// The categories.
const (
	CatUnknown Category = iota
	CatOther
	CatFile
	CatNet
	CatIPC
	CatMemory
	CatProcess
	CatSleep
	CatSystem
	CatSignal
	CatUser
	CatTime
	CatProcessing
	CatIORead
	CatIOWrite
	CatIOOther
	CatWait
	CatScheduler
	CatInternal
)

// ParamType is the type of a parameter.
type ParamType uint8

// The types of parameters; see [Param] for which of its members holds a value.
const (
	PNone ParamType = iota
	PInt16
	PInt32
	PInt64
	PUint8
	PUint16
	PUint32
	PUint64
	PCharBuf
	PByteBuf
	PErrno
	PSockAddr
	PSockTuple
	PFD
	PPID
	PFDList
	PFSPath
	PFSRelPath
	PSyscallID
	PSigType
	PSigSet
	PRelTime
	PAbsTime
	PDynamic
	PFlags8
	PFlags16
	PFlags32
	PEnumFlags8
	PEnumFlags16
	PEnumFlags32
	PMode
	PUID
	PGID
)

var paramTypeNames = [...]string{
	PNone: "NONE", PInt16: "INT16", PInt32: "INT32", PInt64: "INT64", PUint8: "UINT8", PUint16: "UINT16",
	PUint32: "UINT32", PUint64: "UINT64", PCharBuf: "CHARBUF", PByteBuf: "BYTEBUF", PErrno: "ERRNO",
	PSockAddr: "SOCKADDR", PSockTuple: "SOCKTUPLE", PFD: "FD", PPID: "PID", PFDList: "FDLIST", PFSPath: "FSPATH",
	PFSRelPath: "FSRELPATH", PSyscallID: "SYSCALLID", PSigType: "SIGTYPE", PSigSet: "SIGSET", PRelTime: "RELTIME", PAbsTime: "ABSTIME",
	PDynamic: "DYNAMIC", PFlags8: "FLAGS8", PFlags16: "FLAGS16", PFlags32: "FLAGS32", PEnumFlags8: "ENUMFLAGS8",
	PEnumFlags16: "ENUMFLAGS16", PEnumFlags32: "ENUMFLAGS32", PMode: "MODE", PUID: "UID", PGID: "GID",
}

// String returns the name that falco --list-events prints, e.g. "FLAGS32".
func (t ParamType) String() string { return paramTypeNames[t] }

// IsFlags tells whether values are a set of bits with names.
func (t ParamType) IsFlags() bool {
	return t == PFlags8 || t == PFlags16 || t == PFlags32 || t == PMode
}

// IsEnum tells whether a value has one name.
func (t ParamType) IsEnum() bool { return t == PEnumFlags8 || t == PEnumFlags16 || t == PEnumFlags32 }

// Format is how a number is printed.
type Format uint8

// The formats of numbers.
const (
	FmtNA Format = iota
	FmtDec
	FmtHex
	FmtOct
)

// Flag is the name of a flag or of a value of an enumeration.
type Flag struct {
	Name  string
	Value uint32
}

var genericParams = []ParamDef{{Name: "ID", Type: PSyscallID, Format: FmtDec}, {Name: "nativeID", Type: PUint16, Format: FmtDec}}

// What the dynamic parameters may be, with the indexes for Param.Dyn.
var (
	sockoptDynamic = []DynamicAs{
		SockoptBytes: {PByteBuf, FmtHex}, SockoptErrno: {PErrno, FmtDec}, SockoptUint32: {PUint32, FmtDec},
		SockoptUint64: {PUint64, FmtDec}, SockoptTimeval: {PRelTime, FmtDec},
	}
	ptraceDynamic = []DynamicAs{PtraceUint64: {PUint64, FmtHex}, PtraceSignal: {PSigType, FmtDec}}
)

// The values of Param.Dyn for setsockopt and getsockopt, ptrace and bpf.
const (
	SockoptBytes = iota
	SockoptErrno
	SockoptUint32
	SockoptUint64
	SockoptTimeval

	PtraceUint64 = 0
	PtraceSignal = 1

	BPFFD  = 0
	BPFRes = 1
)

var byName = func() map[string]Type {
	m := make(map[string]Type, NumTypes)
	for t := None + 1; t < NumTypes; t++ {
		m[Table[t].Name] = t
	}
	return m
}()

// ByName returns the event type that evt.type calls name.
func ByName(name string) (Type, bool) {
	t, ok := byName[name]
	return t, ok
}

// Def returns the definition of the type.
func (t Type) Def() *Def {
	if t >= NumTypes {
		t = None
	}
	return &Table[t]
}

// Def returns the definition of the event's type; of one that is known by its
// number alone, that of such events.
func (e *Event) Def() *Def {
	if e.ByNumber {
		return &byNumber
	}
	return e.Type.Def()
}

var byNumber = Def{Category: CatOther, Attrs: Generic, Params: genericParams}

// String returns the type's name.
func (t Type) String() string { return t.Def().Name }

// FromAMD64 returns the event type of a system call by its number on 64-bit
// x86, and None for a number that Falco knows no event for.
func FromAMD64(nr int) Type { return fromNumber(syscallsAMD64[:], nr) }

// FromARM64 does the same for 64-bit ARM.
func FromARM64(nr int) Type { return fromNumber(syscallsARM64[:], nr) }

func fromNumber(table []Type, nr int) Type {
	if nr < 0 || nr >= len(table) {
		return None
	}
	return table[nr]
}

// Numbers returns the system call numbers of a type on the architecture
// ("amd64" or "arm64"), in ascending order; several calls may share a type.
func (t Type) Numbers(goarch string) []int {
	table := syscallsAMD64[:]
	if strings.EqualFold(goarch, "arm64") {
		table = syscallsARM64[:]
	}
	var nrs []int
	for nr, u := range table {
		if u == t && t != None {
			nrs = append(nrs, nr)
		}
	}
	return nrs
}
