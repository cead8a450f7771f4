// SPDX-License-Identifier: Apache-2.0

// Package trace watches the system calls of a process and of all that descends
// from it, and turns them into events as Falco's driver and libraries would.
//
// It works by ptrace(2) and a seccomp(2) filter, without privileges, on Linux
// 5.3 and newer, on 64-bit x86 and ARM. A process is attached with [Attach]
// while it waits at a gate, installs the filter that [Program] made by calling
// [marks.InstallFilter] itself, and goes on: from then on the calls that the filter
// selects stop, are read while the caller stands still, and reach
// [Options.Handler] as an [event.Event] when they return. Calls that the filter
// does not select run at full speed.
//
// The state of processes that events refer to comes from /proc, read when it is
// needed, while the process cannot change it; what /proc cannot tell (names as
// they were given, who accepted a connection, when a process was cloned) is
// followed from the calls themselves. For that a few rare calls are selected
// even when no one asked for their events.
//
// The package imports internal/event, internal/machine and internal/marks. Data
// enters from the kernel and leaves through the handler.
//
// # Marks
//
// With [Options.Marks], nothing is reported until the attached process calls
// [Marks.Begin], and nothing that it does itself after [Marks.End]. What it
// starts in between is reported to its end. Parts of its work it can leave out
// by [Marks.Aside], and by [Marks.Spawn] when they start processes of its own
// program, which make marks too. The state of processes is followed always.
// The file of such a process's program was put there for it, and counts as one
// that the container's image has, although it is on the upper layer of an overlay.
//
// In a process that makes marks, calls that Go's runtime makes are not reported,
// whatever made it make them: for memory (mmap, munmap, madvise), threads
// (clone, futex, sched_yield, nanosleep, exit and the births and ends of
// threads), signals (rt_sigaction, rt_sigprocmask, rt_sigreturn, sigaltstack,
// tgkill, and SIGURG to itself) and polling (epoll_create1, epoll_ctl,
// epoll_pwait, eventfd2). They are told by the address of the instruction. Made
// by package syscall, the same calls are reported. Where the program is linked
// with C code, a C library makes its threads: of mmap, munmap, mprotect,
// madvise, brk, futex, rseq, set_robust_list, set_tid_address, rt_sigprocmask,
// sigaltstack, sched_getaffinity, sched_yield, prctl, gettid and exit, those
// that C code makes on another thread than the first are not reported, and on
// the first thread they are, also when they only make a thread for a goroutine.
// Its rt_sigreturn is not reported, nor what the kernel's own code in a process
// calls: clock_gettime, clock_getres, gettimeofday, time and getcpu.
//
// # What it does
//
//   - A process that is a tracee cannot be traced by another: a tracee's own
//     PTRACE_TRACEME or PTRACE_ATTACH on another tracee fails with EPERM. The
//     event is reported all the same.
//   - While a tracer without CAP_SYS_PTRACE watches, the kernel ignores the
//     set-user-ID bit of programs that are executed.
//   - 32-bit x86 programs are followed, and the calls of theirs that exist in
//     the 64-bit table under the same name are reported. The x32 ABI is not.
//   - A tracee that installs a seccomp filter of its own could hide calls from
//     ours, because a filter that denies a call wins over one that reports it.
//     From then on each call of that process stops, which is slower but exact.
//   - CLONE_UNTRACED is taken out of a call. Where another thread puts it into
//     clone3's memory just then, the child is taken hold of as soon as the call
//     returns; until then all its calls that the filter selects fail.
//   - Arguments are read before the kernel reads them. A thread that rewrites
//     another thread's argument in between can make the two differ.
//   - Tracer and tracees are bound to one processor, which a tracee can see.
//   - Memory that is not there gives null parameters, as in Falco. Memory that
//     may not be read, in any of the ways there are, gives unknown ones.
package trace

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"syscall"

	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/marks"
)

// ErrUnsupported is returned where tracing cannot work: on other systems than
// Linux, and on other processors than 64-bit x86 and ARM.
var ErrUnsupported = errors.New("tracing system calls needs Linux on amd64 or arm64")

// Options configures a tracer.
type Options struct {
	// Types are the events to report. Others are followed where the state of
	// processes depends on them, but not reported.
	Types []event.Type

	// Handler receives each event, on the tracer's own thread, while the
	// process that caused it stands still. The event is valid only during the
	// call. The handler must not start processes, and should be quick.
	Handler func(*event.Event)

	// SnapLen is how many bytes of read and written data an event holds.
	// Zero means 80, Falco's default.
	SnapLen int

	// AllCalls stops at every system call, for a process that cannot be made
	// to install the filter. It is much slower.
	AllCalls bool

	// Ways are the ways in which tracees may be looked at. Zero means each that
	// works here, as [Probe] found; of those that are left the best is used.
	Ways Way

	// Marks are those that the attached process makes: only what lies between
	// them is reported. Zero reports everything.
	Marks Marks

	// Container completes what the engine knows of a container, by its full
	// ID. When nil, or when it returns nil, only the IDs are known.
	Container func(id string) *event.Container

	// Here is the container that this program itself runs in, for processes of
	// whose control groups none names a container: from inside, they seldom do.
	// Nil on a host.
	Here *event.Container
}

// Way is a way to look at a tracee, or a set of such. Some are forbidden where
// others are not: the default profile of Docker's containers denies
// process_vm_readv and pidfd_getfd, while ptrace and /proc work.
type Way uint8

// The ways: the first three read memory, the others find the ends of sockets. Of
// each group the first is the best.
const (
	ProcessVMReadv Way = 1 << iota // process_vm_readv(2)
	ProcMem                        // /proc/PID/mem
	PeekData                       // PTRACE_PEEKDATA, a word at a time
	PidfdGetfd                     // pidfd_getfd(2), and the socket is asked
	ProcNet                        // /proc/PID/net, by the socket's inode
	FollowCalls                    // what socket, bind, connect and accept were told

	allWays = ProcessVMReadv | ProcMem | PeekData | PidfdGetfd | ProcNet | FollowCalls
)

// Marks are how the attached process, if it is this same program, tells which
// part of its life is to be reported; see the package's comment. They are system
// calls that do nothing, which no one makes who does not know this number. The
// zero Marks makes none.
type Marks = marks.Marks

// NewMarks returns marks that no other run makes.
func NewMarks() Marks {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return Marks(binary.NativeEndian.Uint64(b[:]) | 1)
}

// Exit is how the attached process ended.
type Exit struct {
	Code   int            // the exit status, when Signal is 0
	Signal syscall.Signal // the signal that ended it
	Core   bool           // it dumped core
	Events uint64         // how many events were reported
}
