// SPDX-License-Identifier: Apache-2.0

// Package event describes the system call events of Falco: their names,
// parameters and rendering, and the state of threads, processes, descriptors
// and containers that an event refers to.
//
// It imports internal/alert, for how an unknown value is printed. Events enter from
// internal/trace and internal/capture, which fill them, and leave to
// internal/source/syscall/fields, which reads fields from them.
package event

import (
	"net/netip"
	"time"
)

// Type is the number of an event type, an index into [Table].
type Type uint16

// Event is one system call at its exit.
//
// An event, its thread and its descriptor belong to the tracer and are valid
// only while the callback that receives the event runs: keep a [Event.Clone].
type Event struct {
	Num    uint64 // counts the events of one tracer, from 1
	Time   int64  // nanoseconds since the epoch
	Start  int64  // of a recorded event: the time of the first, -1 before one that counts; else 0
	CPU    int16
	Type   Type
	Ret    int64 // what the call returned, a negative errno on failure
	TID    int64 // of the thread, also where Thread is nil; 0 when it is not told
	Thread *Thread
	World  World // the machine on which it happened; nil when nothing is known of it
	// ByNumber: the event was recorded by its call's number alone, by a version
	// of Falco that knew no parameters of it.
	ByNumber bool
	Params   []Param // in the order of the type's definition

	// FD is the descriptor that fd.* fields speak of: the one that the call
	// opened or was given. Nil when there is none or it failed to open.
	FD *FD
	// FDNum is its number, -1 on failed opens; HasFD tells whether the event
	// is of a type that has a descriptor at all.
	FDNum int64
	HasFD bool
	// FDNameChanged: this event changed the descriptor's name (a tuple).
	FDNameChanged bool
	// OldFDName is the name before that change.
	OldFDName string
}

// EventTime is when it happened, for alerts.
func (e *Event) EventTime() time.Time { return time.Unix(0, e.Time) }

// Param is the value of one parameter; which member counts is told by the
// definition's type. Null parameters (e.g. data of a failed read) have Null.
// Of an Unknown one no other member counts.
type Param struct {
	Null    bool
	Unknown Unknown
	Num     int64    // integers, flags, modes, pids, uids, errnos, descriptors
	Str     string   // CHARBUF, FSPATH, FSRELPATH (as given), BYTEBUF
	Path    string   // FSPATH, FSRELPATH: absolute and cleaned, links not resolved
	Sock    SockAddr // SOCKADDR (Local) and SOCKTUPLE
	List    []FDPoll // FDLIST
	Dyn     uint8    // PDynamic: index into the definition's Dynamic
	Strs    []string // BYTEBUF that holds a vector of strings: args, env, cgroups
}

// SockAddr is a socket address or a tuple of two.
type SockAddr struct {
	Family   int32 // AF_INET, AF_INET6, AF_UNIX; 0 when unknown
	Src, Dst netip.AddrPort
	Path     string // AF_UNIX
	SrcPtr   uint64 // AF_UNIX: kernel addresses, 0 where unknown
	DstPtr   uint64
}

// FDPoll is one element of poll's list.
type FDPoll struct {
	FD    int64
	Flags uint32
}

// Thread is a thread of a traced process tree.
type Thread struct {
	TID, VTID        int64
	Process          *Process
	PFMajor, PFMinor uint64
	Flags            uint64 // clone flags it was made with
}

// Process is what the threads of a process share.
type Process struct {
	PID, VPID   int64
	Parent      *Process // nil for pid 1 and where unknown
	Creator     *Process // the parent as that thread of it saw it which made this one
	PPID        int64
	PVPID       int64
	SID, PGID   int64
	VSID, VPGID int64

	Comm    string // task->comm
	Exe     string // argv[0]
	ExePath string
	Args    []string // without argv[0]
	Env     []string
	Cwd     string // absolute
	Root    string

	UID, GID              uint32 // the effective ones, which are what Falco shows
	LoginUID              int64  // -1 when unset
	TTY                   uint32
	CapPermitted          uint64
	CapEffective          uint64
	CapInheritable        uint64
	StartTime             int64 // ns since the epoch: when cloned or last executed, as Falco counts
	CloneTime             int64
	ExeIno                uint64
	ExeCtime              int64
	ExeMtime              int64
	ExeWritable           bool
	ExeUpperLayer         bool
	ExeLowerLayer         bool
	ExeFromMemfd          bool
	PidnsInitStart        int64
	PidnsInode            uint64
	FDLimit               int64
	VMSize, VMRSS, VMSwap uint64   // kB
	Cgroups               []string // "cpu=/path", as Falco writes them
	Threads               int
	LeaderGone            bool // none of them is the main one
	FDs                   map[int64]*FD
	Container             *Container // nil on the host

	// Unknown says which of these are not known.
	Unknown ProcessUnknowns

	// Recorded is set in recordings: Creator, and the following, are what Falco would
	// have kept: the descriptors of the main thread, and two durations since the last
	// exec, also an ancestor's. Otherwise the creator is the parent, and these are
	// worked out.
	Recorded                          bool
	MainFDs                           int
	CtimeBeforeClone, CtimeAfterPidns int64

	memo memo
}

// FDType is the type of a descriptor, with Falco's names.
type FDType uint8

// The types of descriptors.
const (
	FDUnknown FDType = iota
	FDFile
	FDDirectory
	FDIPv4
	FDIPv4Server
	FDIPv6
	FDIPv6Server
	FDUnix
	FDPipe
	FDEvent
	FDSignal
	FDEventPoll
	FDInotify
	FDTimer
	FDNetlink
	FDBPF
	FDUserfault
	FDIOUring
	FDMemfd
	FDPidfd
	FDUnsupported
)

// FD is an open descriptor.
type FD struct {
	Num                    int64
	Type                   FDType
	Name                   string // absolute path, or tuple as Falco prints it
	NameRaw                string // path as given
	Flags                  uint32 // Falco's flags (PPM_O_…)
	Dev                    uint32
	Ino                    uint64
	Sock                   SockAddr
	Proto                  uint8 // 6 tcp, 17 udp, 1 icmp, 0 raw, 255 unknown
	Domain                 int32
	Server                 bool // this end is the server
	Client                 bool // this end is the client; with neither, Falco cannot tell yet
	NoRole                 bool // in recordings: neither is known, although the ends may be
	Connected              bool
	UpperLayer, LowerLayer bool
	OldName                string
	Order                  int64 // in recordings: where Falco's table of the process has it
	Proto6                 uint8 // in recordings: Proto as it was as a socket of IPv6, while it is one of IPv4

	Unknown FDUnknowns
}

// Container is what is known of a container from the engine that runs it.
type Container struct {
	ID, FullID, Name, Type                      string
	Image, ImageID, Repository, Tag, Digest     string
	Privileged                                  bool
	Mounts                                      []Mount
	Labels                                      map[string]string
	Env                                         []string
	StartTime                                   int64
	IP                                          string
	HostPID, HostNetwork, HostIPC               bool
	Healthcheck, Liveness, Readiness            string
	PodName, PodNamespace, PodUID, PodSandboxID string
	PodLabels                                   map[string]string
	Own                                         bool // it is the one that this process runs in itself
	Complete                                    bool // the engine answered; otherwise only ID is known
	// Unknown is why it did not, of an engine that would have; what there is of a
	// name, an image and its parts then stands in for those.
	Unknown Unknown
}

// Mount is one mount of a container.
type Mount struct {
	Source, Dest, Mode string
	RW                 bool
	Propagation        string
}
