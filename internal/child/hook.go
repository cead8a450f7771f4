// SPDX-License-Identifier: Apache-2.0

package child

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/hermetic"
	"github.com/falcotest/go-falcotest/internal/journal"
	"github.com/falcotest/go-falcotest/internal/trace"
)

// control is what FALCOTEST_CONTROL says: "" in ordinary processes.
var control string

// arguments are os.Args as the process was started with.
var arguments []string

func init() {
	control = os.Getenv(config.EnvControl)
	if control == "" {
		return
	}
	os.Unsetenv(config.EnvControl)
	if control == controlReaper {
		awaitParent()
	}
	// The action shall run on the first thread: Falco tells some of what a
	// process does by it.
	runtime.LockOSThread()
	// A program without the hook must not do its own work again, and again:
	// to a test binary this says to run no tests. The hook puts it right.
	arguments = os.Args
	os.Args = []string{os.Args[0], "-test.run=^$"}
}

// envCollector is the variable by which Go's garbage collector is set.
const envCollector = "GOGC"

// noCollector keeps a process from collecting garbage while its packages are
// initialised, which takes longer than the initialisations; [Main] turns the
// collector on.
func noCollector() []string {
	if os.Getenv(envCollector) != "" {
		return nil
	}
	return []string{envCollector + "=off"}
}

// hooked is whether this program called the hook.
var hooked bool

// Hooked returns nil if this program called [Main], without which it cannot run
// actions, and else a [NoHookError].
func Hooked() error {
	if hooked {
		return nil
	}
	return &NoHookError{Program: os.Args[0]}
}

// IsChild tells whether this process was started to run an action.
func IsChild() bool { return control != "" }

// ErrNested is what Main says in a copy of the executable that an action
// started by other means than SpawnAs.
var errNested = errors.New("falcotest: this copy of the executable was started by an action, not by SpawnAs, and does nothing")

// Main is the hook: in an action's process it runs the action and does not
// return; in any other it returns at once. Call it before anything else.
func Main() {
	hooked = true
	if control == "" {
		if config.ID() != "" {
			fmt.Fprintln(os.Stderr, errNested)
			os.Exit(2)
		}
		return
	}
	os.Args = arguments
	if os.Getenv(envCollector) == "off" {
		os.Unsetenv(envCollector)
		debug.SetGCPercent(400) // what the initialisations made stays
	}
	if control == controlReaper {
		reap()
	}
	in, out, err := takeOver()
	if err != nil {
		fmt.Fprintln(os.Stderr, "falcotest: taking over the standard streams:", err)
		os.Exit(2)
	}
	r := newRun(in, out)
	r.in, r.out = descriptor(in), descriptor(out)
	r.main()
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

// run is an action's process.
type run struct {
	conn    *conn
	in, out int // its descriptors
	marks   trace.Marks
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
	started  time.Time
	gate     chan *goMessage
	prepare  chan *prepareMessage
}

type cleanup struct {
	f    func()
	args []any
}

func newRun(in io.Reader, out io.Writer) *run {
	return &run{
		conn:    newConn(in, out),
		id:      config.ID(),
		acks:    make(map[string]chan error),
		spawned: make(map[*spawned]struct{}),
		gate:    make(chan *goMessage, 1),
		prepare: make(chan *prepareMessage, 1),
	}
}

// main runs the action and never returns.
func (r *run) main() {
	if dir := os.Getenv("TMPDIR"); dir != "" && control == controlAction {
		// In a container nobody has made it. It is made before anyone watches,
		// and without a chmod, which rules ask about.
		mkdirForAll(dir)
	}
	var greeting hello
	greeting.Hermetic, greeting.Why = hermetic.State()
	if err := r.conn.send(message{Type: typeHello, Hello: &greeting}); err != nil {
		os.Exit(2)
	}
	if control == controlAction {
		adoptOrphans()
	}
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, syscall.SIGTERM, os.Interrupt)
	go func() {
		<-interrupts
		r.stop()
	}()
	go r.read()

	h := &helper{run: r}
	action, setup := r.await(h)
	r.setUp(setup)
	if setup.Filter != nil {
		if err := trace.InstallFilter(setup.Filter); err != nil {
			r.end(&report{Outcome: Failed, Text: err.Error()})
		}
	}
	if action == nil {
		action = events.All()[setup.Action]
	}
	if action == nil {
		r.end(&report{Outcome: Failed, Text: fmt.Sprintf("no action %q is registered in this process", setup.Action)})
	}
	if setup.Sleep > 0 {
		h.Sleep(setup.Sleep)
	}
	r.end(r.call(action, h))
}

func (r *run) setUp(m *goMessage) {
	r.action, r.depth, r.kubeFlags, r.marks, r.guard = m.Action, m.Depth, m.KubeFlags, m.Marks, m.Guard
	logger := logrus.New()
	logger.SetOutput(io.Discard)
	logger.SetLevel(logrus.Level(m.LogLevel))
	logger.AddHook(logHook{r})
	log := logger.WithField("action", m.Action)
	if control == controlSpawn {
		log = log.WithField("process", os.Args[0])
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = log
}

// call runs the action and its cleanups, and returns the report.
func (r *run) call(action events.Action, h events.Helper) (rep *report) {
	rep = &report{}
	returned := false
	defer func() {
		r.marks.End()
		if !returned {
			rep.Outcome, rep.Stack = Failed, string(debug.Stack())
			if v := recover(); v != nil {
				rep.Text = fmt.Sprint(v)
			} else {
				// Goexit cannot be stopped, but the process can be ended.
				rep.Text, rep.Stack = "the action called runtime.Goexit", ""
				r.end(rep)
			}
		}
		rep.Ended, rep.Alone = time.Now(), !hasChildren()
		time.Sleep(r.guard)
		r.window(0, rep.Started, rep.Ended)
		r.cleanUp()
	}()
	_, _ = time.Now().Zone() // reads the time zone's file, which log entries need
	time.Sleep(r.guard)
	r.started = time.Now()
	rep.Started = r.started
	r.marks.Begin(r.in, r.out)
	err := action(h)
	returned = true
	var skip *events.ErrSkipped
	switch {
	case err == nil:
		rep.Outcome = Completed
	case errors.As(err, &skip):
		rep.Outcome, rep.Text = Skipped, skip.Reason
	default:
		rep.Outcome, rep.Text = Failed, err.Error()
	}
	return rep
}

// window tells when this process, or one of its threads, did what.
func (r *run) window(tid int, start, end time.Time) {
	r.conn.send(message{Type: typeWindow, Window: &Window{
		PID: os.Getpid(), TID: tid, Start: start, End: end, First: control == controlAction,
	}})
}

// cleanUp runs the cleanups, the last added first. Those that cleanups add run
// too.
func (r *run) cleanUp() {
	for {
		r.mu.Lock()
		n := len(r.cleanups)
		if n == 0 {
			r.mu.Unlock()
			return
		}
		c := r.cleanups[n-1]
		r.cleanups = r.cleanups[:n-1]
		r.mu.Unlock()
		r.runCleanup(c)
	}
}

func (r *run) runCleanup(c cleanup) {
	defer func() {
		if v := recover(); v != nil {
			r.log.Errorf("a cleanup panicked: %v", v)
		}
	}()
	if len(c.args) > 0 {
		r.log.Debugf("cleaning up: %s", fmt.Sprintln(c.args...))
	}
	c.f()
}

// end reports and never returns. A process of SpawnAs ends at once; an
// action's own waits for its parent to end it, so that all who lose their
// parents in the meantime become its children and are found.
func (r *run) end(rep *report) {
	r.stopping.Do(func() {
		if rep.Started.IsZero() {
			rep.Started = time.Now()
		}
		if rep.Ended.IsZero() {
			rep.Ended = time.Now()
		}
		r.cleanUp()
		r.conn.send(message{Type: typeReport, Report: rep})
	})
	if control == controlSpawn {
		os.Exit(0)
	}
	select {} // read exits when it is told to
}

// stop cleans up while the action may still be running, and reports.
func (r *run) stop() {
	r.stopping.Do(func() {
		r.mu.Lock()
		var children []*spawned
		for s := range r.spawned {
			children = append(children, s)
		}
		r.mu.Unlock()
		for _, s := range children {
			s.conn.send(message{Type: typeStop})
		}
		for _, s := range children {
			<-s.ended
		}
		r.cleanUp()
		r.mu.Lock()
		r.stopped = true
		r.mu.Unlock()
		r.cleanUp() // what was added in between
		r.conn.send(message{Type: typeReport, Report: &report{Outcome: TimedOut, Text: "stopped", Started: r.started, Ended: time.Now()}})
	})
	if control == controlSpawn {
		os.Exit(0)
	}
}

// read takes what the parent sends, and ends the process when there is no more.
func (r *run) read() {
	for {
		m, err := r.conn.receive()
		if err != nil {
			r.parentGone(err)
		}
		switch m.Type {
		case typeGo:
			if m.Go != nil {
				select {
				case r.gate <- m.Go:
				default:
				}
			}
		case typePrepare:
			if m.Prepare != nil {
				select {
				case r.prepare <- m.Prepare:
				default:
				}
			}
		case typeStop:
			go r.stop()
		case typeExit:
			os.Exit(0)
		case typeAck:
			r.mu.Lock()
			answer := r.acks[m.ID]
			delete(r.acks, m.ID)
			r.mu.Unlock()
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
func (r *run) parentGone(err error) {
	r.mu.Lock()
	r.broken = fmt.Errorf("writing the journal: the parent is gone: %w", err)
	for _, answer := range r.acks {
		answer <- r.broken
	}
	clear(r.acks)
	open := r.log != nil
	r.mu.Unlock()
	if open {
		r.stop()
	}
	if control == controlAction {
		killDescendants(os.Getpid(), r.id, false)
	}
	os.Exit(0)
}

// journal has an operation written down before the change that it undoes is
// made.
func (r *run) journal(op journal.Op) error {
	r.mu.Lock()
	if r.stopped {
		r.mu.Unlock()
		select {} // the action must not change anything more
	}
	if r.broken != nil {
		r.mu.Unlock()
		return r.broken
	}
	answer := make(chan error, 1)
	r.acks[op.ID] = answer
	r.mu.Unlock()
	if err := r.conn.send(message{Type: typeJournal, Op: &op}); err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	return <-answer
}

// logHook sends log entries to the parent.
type logHook struct{ run *run }

func (logHook) Levels() []logrus.Level { return logrus.AllLevels }

func (h logHook) Fire(e *logrus.Entry) error {
	rec := Record{Time: e.Time, Level: e.Level.String(), Message: e.Message}
	if len(e.Data) > 0 {
		rec.Fields = make(map[string]string, len(e.Data))
		for k, v := range e.Data {
			rec.Fields[k] = fmt.Sprint(v)
		}
	}
	return h.run.conn.send(message{Type: typeLog, Log: &rec})
}
