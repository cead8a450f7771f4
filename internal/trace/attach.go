// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package trace

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/machine"
)

// Tracer watches a process tree until the last of its processes has ended.
type Tracer struct {
	done chan struct{}
	exit Exit
	err  error
}

// Wait waits until every process of the tree has ended, and tells how the
// attached one did. Because the tracer collects the attached process when it
// was started by this program, whoever started it finds no child to wait for.
// The error is the context's when that ended the tree.
func (tr *Tracer) Wait() (Exit, error) {
	<-tr.done
	return tr.exit, tr.err
}

// tracer is the state of a [Tracer]'s thread. All of it but mu, processes and
// killed belongs to that thread alone.
type tracer struct {
	opts     Options
	pid      int
	wanted   typeSet
	followed typeSet
	kept     typeSet // of followed: what is followed also where nothing is judged
	exit     Exit
	exited   bool

	mu        sync.Mutex // guards writes to processes, and reads by other threads
	processes map[int64]*process
	killed    atomic.Bool

	threads    map[int]*thread
	heard      uint64         // counts notifications
	held       map[int]uint64 // children that stopped before their maker told of them, and when
	lost       map[int]bool   // children that ended before their maker told of them
	outside    map[int64]*process
	containers map[string]*event.Container
	overlays   map[uint64]bool
	begun      bool              // a process has marked its begin
	origins    map[uint64]origin // of calls, by addresses of this program
	interfaces []netip.Prefix    // of this machine, once they were needed

	boot       int64 // when the system started
	initStart  int64 // when pid 1 of the tracer's namespace did
	contained  bool  // that is not the machine's first namespace
	event      event.Event
	world      *machine.World
	strings    map[string]string
	ways       Way           // to look at tracees, that may be tried
	unknown    event.Unknown // why the last thing that was read could not be
	memFD      int           // /proc/TID/mem of memTID, when that is not 0
	memTID     int
	buf        []byte // of read
	path       []byte
	file       []byte
	scratch    []byte
	cgroupText string
	cgroupList []string
	container  *event.Container
}

// firstPidns is the machine's first PID namespace: PROC_PID_INIT_INO.
const firstPidns = "pid:[4026531836]"

func now() int64 { return time.Now().UnixNano() }

// Attach begins to trace a process with all its threads, which should wait at
// a gate and call [marks.InstallFilter] before it goes on. Nothing else may wait for
// the process while it is traced, by wait(2) or [os.Process.Wait]: that would
// take the tracer's notifications away. When ctx ends, the whole tree is
// killed; it is killed as well when this program ends.
//
// The process must be one that this program may trace: of the same user, or
// with CAP_SYS_PTRACE, and where Yama restricts tracing, a descendant.
func Attach(ctx context.Context, pid int, opts Options) (*Tracer, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("attaching to process %d: %w", pid, err)
	}
	if opts.SnapLen <= 0 {
		opts.SnapLen = 80
	}
	t := &tracer{
		opts: opts, pid: pid,
		wanted: wantedSet(opts.Types), followed: followedSet(opts.Types),
		processes: make(map[int64]*process), threads: make(map[int]*thread),
		held: make(map[int]uint64), lost: make(map[int]bool),
		outside: make(map[int64]*process), containers: make(map[string]*event.Container),
		overlays: make(map[uint64]bool), origins: make(map[uint64]origin), strings: make(map[string]string),
		world: machine.New(), boot: bootTime(), ways: waysFor(opts), buf: make([]byte, 1<<16), file: make([]byte, 0, 8192),
	}
	if t.ways&(PidfdGetfd|ProcNet) == 0 {
		t.followed[event.SysSocket] = true // see followedSet
	}
	t.kept = keptSet(t.followed)
	tr := &Tracer{done: make(chan struct{})}
	attached := make(chan error)
	go onFreshThread(func() {
		defer close(tr.done)
		stop := context.AfterFunc(ctx, t.kill)
		err := t.attach()
		attached <- err
		if err != nil {
			stop()
			return
		}
		tr.err = t.run()
		t.closeMem()
		if !stop() && tr.err == nil {
			tr.err = context.Cause(ctx)
		}
		tr.exit = t.exit
		tr.exit.Events = t.event.Num
	})
	if err := <-attached; err != nil {
		return nil, err
	}
	return tr, nil
}

// onFreshThread runs f on a thread that has no children and is not the main
// one, and ends that thread afterwards: the kernel then kills what f still
// traces. A thread with children would take their ends for those of tracees,
// and the main thread inherits the children of threads that end.
func onFreshThread(f func()) {
	runtime.LockOSThread()
	tid := unix.Gettid()
	children, _ := os.ReadFile("/proc/self/task/" + strconv.Itoa(tid) + "/children")
	if tid != unix.Getpid() && len(children) == 0 {
		f()
		return // still locked: the thread ends
	}
	// While this thread is held, another goroutine must get another one.
	next := make(chan struct{})
	go func() {
		onFreshThread(func() {
			close(next)
			f()
		})
	}()
	<-next
	runtime.UnlockOSThread()
}

// attach seizes every thread of the process.
func (t *tracer) attach() error {
	wrap := func(err error) error {
		// Of one that has ended the kernel says the same as of one that it protects.
		if st := t.stat(int64(t.pid)); errors.Is(err, unix.EPERM) && (st.State == 0 || st.Dead()) {
			err = unix.ESRCH
		}
		return fmt.Errorf("attaching to process %d: %w", t.pid, attachError(err))
	}
	t.initStart = t.boot + int64(t.stat(1).Start)*tick
	if ns, _ := t.readLink(int64(os.Getpid()), "ns/pid"); ns != firstPidns && t.initStart != t.boot {
		t.contained = true
	}
	p := &process{}
	if !t.readProcess(p, int64(t.pid)) {
		return wrap(unix.ESRCH)
	}
	t.setParent(p, t.ancestor(p.PPID))
	t.setPidnsStart(p)
	p.allCalls = t.opts.AllCalls
	if p.judged = t.opts.Marks == 0; !p.judged {
		p.marks = &marked{private: [2]int64{-1, -1}}
	}
	if st := t.status(p.PID); st.seccompFilters > 0 {
		p.allCalls = true // those filters could hide calls from ours
	}
	t.mu.Lock()
	t.processes[p.PID] = p
	t.mu.Unlock()
	cpu := t.chooseCPU()
	for {
		seized, err := t.seizeThreads(p, cpu)
		if err != nil {
			return wrap(err)
		}
		if len(seized) == 0 {
			break
		}
		// A thread that was about to make another when it was seized still makes
		// that one untraced. Once it has stopped, that one is in the list.
		for !t.heardOf(seized) {
			var status uint32
			switch tid, err := wait4(&status, 0); {
			case err == nil:
				t.handle(tid, status)
			case !errors.Is(err, unix.EINTR):
				return wrap(unix.ESRCH)
			}
		}
	}
	th := t.threads[t.pid]
	if th == nil {
		return wrap(unix.ESRCH)
	}
	t.readImage(p) // the process may have been about to execute it
	t.scanFDs(th)
	return nil
}

// seizeThreads seizes the threads of a process that are not traced yet, and has
// each stop once.
func (t *tracer) seizeThreads(p *process, cpu *unix.CPUSet) (seized []*thread, err error) {
	entries, err := os.ReadDir("/proc/" + strconv.Itoa(t.pid) + "/task")
	if err != nil {
		return nil, unix.ESRCH
	}
	for _, e := range entries {
		tid, err := strconv.Atoi(e.Name())
		if err != nil || t.threads[tid] != nil {
			continue
		}
		err = ptrace(unix.PTRACE_SEIZE, tid, 0, traceOptions)
		switch {
		case err == nil:
		case errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EPERM) && tid != t.pid:
			continue // it has ended, or is traced by us from birth
		default:
			return nil, err
		}
		th := t.newThread(tid, p)
		th.started = true
		_ = unix.SchedSetaffinity(tid, cpu) // a cpuset may forbid it
		// Where it must stop at each call, it does so from this stop on.
		_ = ptrace(unix.PTRACE_INTERRUPT, tid, 0, 0)
		seized = append(seized, th)
	}
	return seized, nil
}

// heardOf tells whether each of these threads has stopped or ended.
func (t *tracer) heardOf(threads []*thread) bool {
	return !slices.ContainsFunc(threads, func(th *thread) bool { return th.heard == 0 && t.threads[th.tid] == th })
}

// turn counts tracers, to spread them over the processors.
var turn atomic.Uint32

// chooseCPU binds this thread to one of the processors that it may use, and
// returns that one for its tracees: a tracer and its tracee never run at the
// same time, and a stop costs four times as much (measured: 29 and 112 µs on a
// virtual machine) when it has to wake another processor.
func (t *tracer) chooseCPU() *unix.CPUSet {
	var allowed, one unix.CPUSet
	if unix.SchedGetaffinity(0, &allowed) != nil || allowed.Count() == 0 {
		return &allowed
	}
	skip := int(turn.Add(1)) % allowed.Count()
	for cpu := 0; ; cpu++ {
		if !allowed.IsSet(cpu) {
			continue
		}
		if skip == 0 {
			one.Set(cpu)
			break
		}
		skip--
	}
	_ = unix.SchedSetaffinity(0, &one)
	return &one
}

// attachError adds what can be done about a refused attachment.
func attachError(err error) error {
	if !errors.Is(err, unix.EPERM) {
		return err
	}
	hint := "in a container, --cap-add SYS_PTRACE may allow it; else it belongs to another user, or is traced already"
	if scope := yamaScope(); scope != "" && scope != "0" {
		hint += ", or kernel.yama.ptrace_scope = " + scope + " forbids it"
	}
	return fmt.Errorf("%w (%s)", err, hint)
}

// kill ends the whole tree. Processes that the tracer learns of later are
// killed when they first stop.
func (t *tracer) kill() {
	t.killed.Store(true)
	t.mu.Lock()
	pids := make([]int64, 0, len(t.processes))
	for pid := range t.processes {
		pids = append(pids, pid)
	}
	t.mu.Unlock()
	slices.Sort(pids)
	for _, pid := range pids {
		_ = unix.Kill(int(pid), unix.SIGKILL)
	}
}
