// SPDX-License-Identifier: Apache-2.0

package inside

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/falcotest/go-falcotest/internal/child/protocol"
	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/hermetic"
	"github.com/falcotest/go-falcotest/internal/journal"
	"github.com/falcotest/go-falcotest/internal/marks"
)

// Skip is the error of what cannot work here, with the reason.
type Skip struct{ Reason string }

// Error implements error.
func (s *Skip) Error() string { return "it cannot work here: " + s.Reason }

// Work is what a process can be asked to do. What its functions return is done between
// the marks.
type Work struct {
	// Program gets a program ready, before anyone watches.
	Program func(p *Process, name string, data []byte) (func() error, error)
	// Action is a registered action, nil if there is none of that name.
	Action func(p *Process, name string) func() error
}

// Process is an action's process, from inside. Its methods may be called from any
// goroutine.
type Process struct {
	conn    *protocol.Conn
	in, out int // its descriptors
	marks   marks.Marks
	guard   time.Duration
	id      string

	action    string
	depth     int
	kubeFlags []string
	log       *logrus.Entry

	mu       sync.Mutex
	acks     map[string]chan error
	ops      int
	spawned  map[*spawned]struct{}
	cleanups []cleanup
	broken   error // why no answer will come any more
	stopped  bool  // the cleanups have run, though the action has not ended

	stopping sync.Once
	standing func() string
	started  time.Time
	gate     chan *protocol.Setup
	prepare  chan *protocol.Work
}

type cleanup struct {
	f    func()
	args []any
}

// descriptor returns a file's number, and leaves the file as it is, which Fd
// does not. -1 when it has none.
func descriptor(f *os.File) (num int) {
	num = -1
	if c, err := f.SyscallConn(); err == nil {
		c.Control(func(fd uintptr) { num = int(fd) })
	}
	return num
}

func newProcess(in, out *os.File) *Process {
	return &Process{
		conn:    protocol.NewConn(in, out),
		in:      descriptor(in),
		out:     descriptor(out),
		id:      config.ID(),
		acks:    make(map[string]chan error),
		spawned: make(map[*spawned]struct{}),
		gate:    make(chan *protocol.Setup, 1),
		prepare: make(chan *protocol.Work, 1),
	}
}

// Program is the name of the program that this process is to run, "" for none.
func Program() string { return program }

// Run is the life of an action's process after [Begin]: it greets, waits at its gate,
// does its work, cleans up and reports. It does not return.
func Run(work Work) {
	in, out, err := takeOver()
	if err != nil {
		fmt.Fprintln(os.Stderr, "falcotest: taking over the standard streams:", err)
		os.Exit(2)
	}
	newProcess(in, out).run(work)
}

func (p *Process) run(work Work) {
	if dir := os.Getenv("TMPDIR"); dir != "" && role == Action {
		// In a container nobody has made it. It is made before anyone watches,
		// and without a chmod, which rules ask about.
		mkdirForAll(dir)
	}
	var hello protocol.Hello
	hello.Hermetic, hello.Why = hermetic.State()
	if err := p.conn.Send(protocol.Message{Type: protocol.TypeHello, Hello: &hello}); err != nil {
		os.Exit(2)
	}
	if role == Action {
		adoptOrphans()
	}
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, syscall.SIGTERM, os.Interrupt)
	go func() {
		<-interrupts
		p.stop()
	}()
	go p.read()

	do, setup := p.await(work)
	p.setUp(setup)
	if setup.Filter != nil {
		if err := marks.InstallFilter(setup.Filter); err != nil {
			p.end(&protocol.Report{Outcome: protocol.Failed, Text: err.Error()})
		}
	}
	if do == nil && work.Action != nil {
		do = work.Action(p, setup.Action)
	}
	if do == nil {
		p.end(&protocol.Report{Outcome: protocol.Failed, Text: fmt.Sprintf("no action %q is registered in this process", setup.Action)})
	}
	if setup.Sleep > 0 {
		p.Sleep(setup.Sleep)
	}
	p.end(p.call(do))
}

// await waits for the gate to open, and prepares the program before, if there is
// one. It returns what that does.
func (p *Process) await(work Work) (do func() error, setup *protocol.Setup) {
	select {
	case setup := <-p.gate:
		return nil, setup
	case w := <-p.prepare:
		p.setUp(&protocol.Setup{Action: w.Action, LogLevel: w.LogLevel})
		do := p.ready(work, w)
		p.conn.Send(protocol.Message{Type: protocol.TypeReady})
		return do, <-p.gate
	}
}

func (p *Process) ready(work Work, w *protocol.Work) (do func() error) {
	fail := func(err error) func() error { return func() error { return err } }
	defer func() {
		if v := recover(); v != nil {
			do = fail(&protocol.PanicError{Value: fmt.Sprint(v), Stack: stack()})
		}
	}()
	do, err := work.Program(p, w.Program, w.Data)
	if err != nil {
		return fail(err)
	}
	return do
}

// stack is this goroutine's, as debug.Stack formats it.
func stack() string {
	buf := make([]byte, 64<<10)
	return string(buf[:runtime.Stack(buf, false)])
}

func (p *Process) setUp(s *protocol.Setup) {
	p.action, p.depth, p.kubeFlags, p.marks, p.guard = s.Action, s.Depth, s.KubeFlags, s.Marks, s.Guard
	logger := logrus.New()
	logger.SetOutput(io.Discard)
	logger.SetLevel(logrus.Level(s.LogLevel))
	logger.AddHook(logHook{p})
	log := logger.WithField("action", s.Action)
	if role == Spawned {
		log = log.WithField("process", os.Args[0])
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log = log
}

// ID is the id of this run of the action.
func (p *Process) ID() string { return p.id }

// Marks are those that this process and what it starts make.
func (p *Process) Marks() marks.Marks { return p.marks }

// KubeFlags are settings for Kubernetes, as kubectl takes them.
func (p *Process) KubeFlags() []string { return p.kubeFlags }

// Log sends what it is given to who started the action.
func (p *Process) Log() *logrus.Entry { return p.log }

// Sleep sleeps, and says so in the log.
func (p *Process) Sleep(d time.Duration) {
	p.log.Infof("sleeping for %s", d)
	time.Sleep(d)
}

// Cleanup has f called when the action has ended, with the rest for the log.
func (p *Process) Cleanup(f func(), args ...any) {
	p.mu.Lock()
	if p.stopped {
		p.mu.Unlock()
		p.runCleanup(cleanup{f, args})
		select {} // the process is about to end, and the action with it
	}
	p.cleanups = append(p.cleanups, cleanup{f, args})
	p.mu.Unlock()
}

// Standing has f asked what is being done when the process is stopped at its
// deadline. It must return soon.
func (p *Process) Standing(f func() string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.standing = f
}

// Started tells whoever watches of a process that this one started.
func (p *Process) Started(pid int) {
	p.conn.Send(protocol.Message{Type: protocol.TypeSpawned, PID: pid})
}

// call does what is to be done, and the cleanups, and returns the report.
func (p *Process) call(do func() error) (rep *protocol.Report) {
	rep = &protocol.Report{}
	returned := false
	defer func() {
		p.marks.End()
		if !returned {
			rep.Outcome, rep.Stack = protocol.Failed, stack()
			if v := recover(); v != nil {
				rep.Text = fmt.Sprint(v)
			} else {
				// Goexit cannot be stopped, but the process can be ended.
				rep.Text, rep.Stack = "the action called runtime.Goexit", ""
				p.end(rep)
			}
		}
		rep.Ended, rep.Alone = time.Now(), !hasChildren()
		time.Sleep(p.guard)
		p.window(0, rep.Started, rep.Ended)
		p.cleanUp()
	}()
	_, _ = time.Now().Zone() // reads the time zone's file, which log entries need
	time.Sleep(p.guard)
	p.started = time.Now()
	rep.Started = p.started
	p.marks.Begin(p.in, p.out)
	err := do()
	returned = true
	var skip *Skip
	switch {
	case err == nil:
		rep.Outcome = protocol.Completed
	case errors.As(err, &skip):
		rep.Outcome, rep.Text = protocol.Skipped, skip.Reason
	default:
		rep.Outcome, rep.Text = protocol.Failed, err.Error()
	}
	return rep
}

// window tells when this process, or one of its threads, did what.
func (p *Process) window(tid int, start, end time.Time) {
	p.conn.Send(protocol.Message{Type: protocol.TypeWindow, Window: &protocol.Window{
		PID: os.Getpid(), TID: tid, Start: start, End: end, First: role == Action,
	}})
}

// cleanUp runs the cleanups, the last added first. Those that cleanups add run
// too.
func (p *Process) cleanUp() {
	for {
		p.mu.Lock()
		n := len(p.cleanups)
		if n == 0 {
			p.mu.Unlock()
			return
		}
		c := p.cleanups[n-1]
		p.cleanups = p.cleanups[:n-1]
		p.mu.Unlock()
		p.runCleanup(c)
	}
}

func (p *Process) runCleanup(c cleanup) {
	defer func() {
		if v := recover(); v != nil {
			p.log.Errorf("a cleanup panicked: %v", v)
		}
	}()
	if len(c.args) > 0 {
		p.log.Debugf("cleaning up: %s", fmt.Sprintln(c.args...))
	}
	c.f()
}

// end reports and never returns. A process of SpawnAs ends at once; an
// action's own waits for its parent to end it, so that all who lose their
// parents in the meantime become its children and are found.
func (p *Process) end(rep *protocol.Report) {
	p.stopping.Do(func() {
		if rep.Started.IsZero() {
			rep.Started = time.Now()
		}
		if rep.Ended.IsZero() {
			rep.Ended = time.Now()
		}
		p.cleanUp()
		p.conn.Send(protocol.Message{Type: protocol.TypeReport, Report: rep})
	})
	if role == Spawned {
		os.Exit(0)
	}
	select {} // read exits when it is told to
}

// stop cleans up while the action may still be running, and reports.
func (p *Process) stop() {
	p.stopping.Do(func() {
		p.mu.Lock()
		standing := p.standing
		var children []*spawned
		for s := range p.spawned {
			children = append(children, s)
		}
		p.mu.Unlock()
		at := ""
		if standing != nil {
			at = standing()
		}
		for _, s := range children {
			s.conn.Send(protocol.Message{Type: protocol.TypeStop})
		}
		for _, s := range children {
			<-s.ended
		}
		p.cleanUp()
		p.mu.Lock()
		p.stopped = true
		p.mu.Unlock()
		p.cleanUp() // what was added in between
		p.conn.Send(protocol.Message{Type: protocol.TypeReport, Report: &protocol.Report{Outcome: protocol.TimedOut, Text: "stopped", At: at, Started: p.started, Ended: time.Now()}})
	})
	if role == Spawned {
		os.Exit(0)
	}
}

// read takes what the parent sends, and ends the process when there is no more.
func (p *Process) read() {
	for {
		m, err := p.conn.Receive()
		if err != nil {
			p.parentGone(err)
		}
		switch m.Type {
		case protocol.TypeGo:
			if m.Go != nil {
				select {
				case p.gate <- m.Go:
				default:
				}
			}
		case protocol.TypePrepare:
			if m.Prepare != nil {
				select {
				case p.prepare <- m.Prepare:
				default:
				}
			}
		case protocol.TypeStop:
			go p.stop()
		case protocol.TypeExit:
			os.Exit(0)
		case protocol.TypeAck:
			p.mu.Lock()
			answer := p.acks[m.ID]
			delete(p.acks, m.ID)
			p.mu.Unlock()
			if answer != nil {
				if m.Err != "" {
					answer <- errors.New(m.Err)
				} else {
					answer <- nil
				}
			}
		}
	}
}

// parentGone ends this process and those below it, after the cleanups.
func (p *Process) parentGone(err error) {
	p.mu.Lock()
	p.broken = fmt.Errorf("writing the journal: the parent is gone: %w", err)
	for _, answer := range p.acks {
		answer <- p.broken
	}
	clear(p.acks)
	open := p.log != nil
	p.mu.Unlock()
	if open {
		p.stop()
	}
	if role == Action {
		KillDescendants(os.Getpid(), p.id, false)
	}
	os.Exit(0)
}

// journal has an operation written down before the change that it undoes is
// made.
func (p *Process) journal(op journal.Op) error {
	p.mu.Lock()
	if p.stopped {
		p.mu.Unlock()
		select {} // the action must not change anything more
	}
	if p.broken != nil {
		p.mu.Unlock()
		return p.broken
	}
	answer := make(chan error, 1)
	p.acks[op.ID] = answer
	p.mu.Unlock()
	if err := p.conn.Send(protocol.Message{Type: protocol.TypeJournal, Op: &op}); err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	return <-answer
}

// logHook sends log entries to the parent.
type logHook struct{ process *Process }

func (logHook) Levels() []logrus.Level { return logrus.AllLevels }

func (h logHook) Fire(e *logrus.Entry) error {
	rec := protocol.Record{Time: e.Time, Level: e.Level.String(), Message: e.Message}
	if len(e.Data) > 0 {
		rec.Fields = make(map[string]string, len(e.Data))
		for k, v := range e.Data {
			rec.Fields[k] = fmt.Sprint(v)
		}
	}
	return h.process.conn.Send(protocol.Message{Type: protocol.TypeLog, Log: &rec})
}
