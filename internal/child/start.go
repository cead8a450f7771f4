// SPDX-License-Identifier: Apache-2.0

package child

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/child/inside"
	"github.com/falcotest/go-falcotest/internal/child/protocol"
	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/hermetic"
	"github.com/falcotest/go-falcotest/internal/journal"
	"github.com/falcotest/go-falcotest/internal/trace"
)

const (
	// argAction is the first argument of an action's process.
	argAction = "falcotest-action"

	// DefaultGrace is how long cleanups may take when an action is stopped.
	DefaultGrace = inside.DefaultGrace
)

// Spec says which action to run, and how.
type Spec struct {
	Action string
	// Program is the name of a [Program], or of one that begins earlier, that runs in place of a registered
	// action, with Data; Action is then just what the run is called.
	Program string
	Data    []byte
	// ID is unique among all runs on this machine. Empty means a new one.
	ID string
	// Env is added to this process's environment, as NAME=value.
	Env []string
	// Dir is the working directory. Empty means this process's.
	Dir string
	// Deadline is how long the action may run, from when the gate opens. Zero
	// means that only Wait's context ends it.
	Deadline time.Duration
	// Grace is how long cleanups may take at the deadline, before everything
	// is killed. Zero means [DefaultGrace].
	Grace time.Duration
	// Hermetic asks for folders that vanish with the process; [Child.Hermetic]
	// tells whether it got them.
	Hermetic bool
	// Mounts asks for more of that.
	Mounts hermetic.Options
	// KubeFlags are what ResourceBuilder shall use, as kubectl takes them:
	// "--namespace=x".
	KubeFlags []string
	// Log receives each log entry as it comes, from one goroutine at a time.
	Log func(Record)
	// LogLevel is the level below which an action's entries are not sent.
	// Zero means Info.
	LogLevel logrus.Level
	// Output receives what the action writes to standard error and output.
	Output io.Writer
}

// Setup is what a child is given when its gate opens.
type Setup struct {
	// Filter is a seccomp filter made by trace.Program; nil for none. A tracer
	// must have attached.
	Filter []byte
	// Marks are those that the tracer knows; zero for none.
	Marks trace.Marks
	// Guard is a time to wait between what the framework does and what the
	// action does, so that a judge which looks on from elsewhere can tell them
	// apart by their times. Zero for none.
	Guard time.Duration
	// Exit must be set when a tracer of this process has attached: the tracer
	// takes the exit status that Wait would wait for. Exit returns how the
	// process ended, in words, "" for a normal exit. Wait calls it when the
	// process is gone.
	Exit func() string
}

// Transport is a started process and the way to it.
type Transport struct {
	In   io.WriteCloser // its standard input
	Out  io.Reader      // its standard output
	PID  int            // as this process sees it; 0 when not known
	Kill func() error   // kills it, and all in it where that is another world
	// Wait returns when the process is gone, with how it ended, in words, ""
	// for a normal exit. When a tracer takes the exit status, it is given.
	Wait func(exit func() string) string
	// Descendants kills the processes below the first and returns them; nil
	// when Kill ends them too. When the first died on its own account, all of
	// the id are looked for.
	Descendants func(died bool) []int
	// Close undoes and removes everything else, and returns what it undid.
	Close func() ([]string, error)
	// Journal writes an operation down; Done that it is undone. Nil when
	// everything vanishes with the process.
	Journal func(journal.Op) error
	Done    func(id string) error
	// Output returns the end of what the process wrote.
	Output func() string
	// Exhausted tells, when the process is gone, what it died for want of; nil
	// means nothing.
	Exhausted func() error
}

// Child is an action's process. Its methods may be called from any goroutine,
// in the order Go, Wait; or Kill at any time before Wait. One of Wait and Kill
// must be called.
type Child struct {
	spec  Spec
	t     Transport
	conn  *protocol.Conn
	hello protocol.Hello

	setup Setup
	gone  bool // the gate has been opened
	alone bool // no other process of the tree is left

	mu   sync.Mutex
	pids []int
	log  []Record // the end of it

	logSize int // of log, in bytes
	leftOut int // how many entries came before
	runs    []Window

	ready   chan struct{}         // closed when its program is prepared
	report  chan *protocol.Report // one, when it reports
	drained chan struct{}         // closed when its output has ended

	finish sync.Once
	result Result
}

// NewID returns a new id. Its form, "ft" and 14 of the characters a–z and 2–7,
// is what package correlate looks for in the texts of alerts.
func NewID() string {
	return "ft" + strings.ToLower(rand.Text()[:14])
}

// Start starts the process of an action and returns when it waits at its gate.
// The context bounds only that.
func Start(ctx context.Context, spec Spec) (*Child, error) {
	if err := spec.fill(); err != nil {
		return nil, err
	}
	t, err := startLocal(spec)
	if err != nil {
		return nil, fmt.Errorf("starting a process for %s: %w", spec.Action, err)
	}
	return Connect(ctx, spec, t)
}

func (s *Spec) fill() error {
	if _, ok := events.All()[s.Action]; !ok && s.Program == "" {
		return fmt.Errorf("starting a process for %q: no such action is registered", s.Action)
	}
	if s.ID == "" {
		s.ID = NewID()
	}
	if s.Grace == 0 {
		s.Grace = DefaultGrace
	}
	if s.LogLevel == 0 {
		s.LogLevel = logrus.InfoLevel
	}
	return nil
}

// Environ returns the variables that make a process an action's, and the
// arguments after the executable.
func Environ(spec Spec) (env, args []string) {
	return append(inside.Environ(inside.Action, spec.Program), config.EnvID+"="+spec.ID),
		[]string{argAction, spec.Action, spec.ID}
}

// Connect waits for a process that was started with [Environ] to come to its
// gate. Whatever it returns, it owns the transport from then on.
func Connect(ctx context.Context, spec Spec, t Transport) (*Child, error) {
	if err := spec.fill(); err != nil {
		return nil, err
	}
	c := &Child{
		spec:    spec,
		t:       t,
		conn:    protocol.NewConn(t.Out, t.In),
		ready:   make(chan struct{}),
		report:  make(chan *protocol.Report, 1),
		drained: make(chan struct{}),
	}
	if t.PID > 0 {
		c.pids = append(c.pids, t.PID)
	}
	stop := context.AfterFunc(ctx, func() { t.Kill() })
	h, before, err := c.conn.Greet()
	if !stop() && err != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		close(c.drained)
		var res Result
		ended := c.complete(&res, err != io.EOF)
		if ctx.Err() == nil {
			err = missing(before, res.Output, ended, err)
			if want := c.exhausted(); want != nil {
				err = want
			}
		}
		return nil, fmt.Errorf("starting a process for %s: %w", spec.Action, err)
	}
	c.hello = h
	go c.read()
	return c, c.prepare(ctx)
}

// prepare has the program, if there is one, do what is to be done before anyone
// watches. When that fails, the run reports it.
func (c *Child) prepare(ctx context.Context) error {
	if c.spec.Program == "" {
		return nil
	}
	err := c.conn.Send(protocol.Message{Type: protocol.TypePrepare, Prepare: &protocol.Work{
		Action: c.spec.Action, Program: c.spec.Program, Data: c.spec.Data, LogLevel: uint32(c.spec.LogLevel),
	}})
	if err == nil {
		select {
		case <-c.ready:
			return nil
		case <-c.drained:
			err = errors.New("it ended while it was prepared")
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	c.t.Kill()
	var res Result
	if ended := c.complete(&res, true); ended != "" && ctx.Err() == nil {
		err = fmt.Errorf("%w: %s\n%s", err, ended, res.Output)
	}
	return fmt.Errorf("starting a process for %s: %w", c.spec.Action, err)
}

// missing says why a process ended before it greeted.
func missing(before, output, ended string, err error) error {
	if ended == "" && errors.Is(err, io.EOF) {
		exe, _ := os.Executable()
		return &NoHookError{Program: exe, Output: before}
	}
	return fmt.Errorf("it ended before its first word: %s\n%s%s", ended, before, output)
}

// read takes what the child sends until its end.
func (c *Child) read() {
	defer close(c.drained)
	reported, prepared := false, false
	for {
		m, err := c.conn.Receive()
		if err != nil {
			return
		}
		switch m.Type {
		case protocol.TypeLog:
			if m.Log != nil {
				c.keep(*m.Log)
			}
		case protocol.TypeJournal:
			ack := protocol.Message{Type: protocol.TypeAck}
			if m.Op != nil {
				ack.ID = m.Op.ID
				if c.t.Journal != nil {
					if err := c.t.Journal(*m.Op); err != nil {
						ack.Err = err.Error()
					}
				}
			}
			c.conn.Send(ack) // when the child is gone, no one waits for it
		case protocol.TypeDone:
			if c.t.Done != nil {
				c.t.Done(m.ID) // undoing it again would do nothing
			}
		case protocol.TypeSpawned:
			if c.t.Descendants != nil { // in a container, numbers mean others
				c.mu.Lock()
				c.pids = append(c.pids, m.PID)
				c.mu.Unlock()
			}
		case protocol.TypeWindow:
			if m.Window != nil {
				c.ran(*m.Window)
			}
		case protocol.TypeReady:
			if !prepared {
				prepared = true
				close(c.ready)
			}
		case protocol.TypeReport:
			if m.Report != nil && !reported {
				reported = true
				c.report <- m.Report
			}
		}
	}
}

// ran notes what a process of this program did when, if its number means
// something here.
func (c *Child) ran(w Window) {
	if c.t.Descendants == nil {
		if !w.First || w.TID != 0 && w.TID != w.PID {
			return
		}
		if w.PID = c.t.PID; w.TID != 0 {
			w.TID = c.t.PID
		}
	}
	c.mu.Lock()
	c.runs = append(c.runs, w)
	c.mu.Unlock()
}

// PID returns the process's number, 0 when it is not known.
func (c *Child) PID() int { return c.t.PID }

// ID returns the id of this run of the action.
func (c *Child) ID() string { return c.spec.ID }

// Action returns the action's name.
func (c *Child) Action() string { return c.spec.Action }

// Hermetic tells whether the folders that actions write to vanish with the
// process, and if not, why not.
func (c *Child) Hermetic() (ok bool, why string) { return c.hello.Hermetic, c.hello.Why }

// Go opens the gate.
func (c *Child) Go(s Setup) error {
	if c.gone {
		return errors.New("opening the gate of an action's process: it is open already")
	}
	c.gone, c.setup = true, s
	err := c.conn.Send(protocol.Message{Type: protocol.TypeGo, Go: &protocol.Setup{
		Action:    c.spec.Action,
		Filter:    s.Filter,
		Marks:     s.Marks,
		Guard:     s.Guard,
		KubeFlags: c.spec.KubeFlags,
		LogLevel:  uint32(c.spec.LogLevel),
	}})
	if err != nil {
		return fmt.Errorf("opening the gate of the process of %s: %w", c.spec.Action, err)
	}
	return nil
}

// Wait waits for the action's end, and returns when its processes are gone and
// everything is cleaned up. At the deadline, and when the context ends, the
// action is stopped: its cleanups run, for as long as the grace allows.
func (c *Child) Wait(ctx context.Context) Result {
	c.finish.Do(func() { c.result = c.wait(ctx) })
	return c.result
}

// Kill ends the process and all below it at once, and cleans up, from the
// journal where need be. It may be called instead of Wait, also when a tracer
// has attached but Go was not called; exit is as in [Setup], nil without tracer.
func (c *Child) Kill(exit func() string) Result {
	c.finish.Do(func() {
		if exit != nil {
			c.setup.Exit = exit
		}
		c.t.Kill()
		err := errors.New("the action's process was killed")
		c.result = Result{Outcome: Failed, Reason: err.Error(), Err: err, Started: time.Now()}
		c.complete(&c.result, true)
	})
	return c.result
}

func (c *Child) wait(ctx context.Context) Result {
	started := time.Now()
	if c.spec.Deadline > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.spec.Deadline, deadlineError(c.spec.Deadline))
		defer cancel()
	}
	var rep *protocol.Report
	stopped := false
	select {
	case rep = <-c.report:
	case <-c.drained:
	case <-ctx.Done():
		stopped = true
		rep = c.stop()
	}
	if rep == nil { // it may have reported and ended at once
		select {
		case rep = <-c.report:
		default:
		}
	}

	res := Result{Started: started}
	if rep != nil && !rep.Started.IsZero() {
		res.Started, res.Ended = rep.Started, rep.Ended
	}
	// Programs are ours: what they start is below them.
	c.alone = rep != nil && rep.Alone && !stopped && c.spec.Program != ""
	ended := c.complete(&res, rep == nil)
	if rep != nil && rep.Alone {
		res.Gone = res.Ended
	}
	switch {
	case stopped && (rep == nil || rep.Outcome == TimedOut):
		res.Outcome, res.Err = TimedOut, context.Cause(ctx)
		if rep != nil && rep.At != "" {
			res.Err = fmt.Errorf("%w: it stood in %s", res.Err, rep.At)
		}
		var d deadlineError
		if !errors.As(res.Err, &d) && !errors.Is(res.Err, context.DeadlineExceeded) {
			res.Outcome, res.Err = Failed, fmt.Errorf("the action was stopped: %w", res.Err)
		}
	case rep == nil:
		if ended == "" {
			ended = "it exited by itself"
		}
		res.Outcome, res.Err = Failed, fmt.Errorf("the action's process ended without a report: %s", ended)
		if want := c.exhausted(); want != nil {
			res.Err, res.Output = fmt.Errorf("the action's process ended without a report: %w", want), ""
		}
	default:
		fill(&res, rep)
	}
	if res.Err != nil {
		res.Reason = res.Err.Error()
	}
	return res
}

type deadlineError time.Duration

func (d deadlineError) Error() string {
	return fmt.Sprintf("the action did not end within %s", time.Duration(d))
}

func fill(res *Result, r *protocol.Report) {
	res.Outcome = r.Outcome
	switch {
	case r.Outcome == Skipped:
		res.Reason = r.Text
	case r.Stack != "":
		res.Err = &PanicError{Value: r.Text, Stack: r.Stack}
	case r.Outcome == TimedOut: // stopped by a signal from elsewhere
		res.Outcome, res.Err = Failed, errors.New("the action was interrupted by a signal")
	case r.Outcome != Completed:
		res.Err = errors.New(r.Text)
	}
}

// stop asks the child to clean up, and kills it when it does not.
func (c *Child) stop() *protocol.Report {
	sent := make(chan error, 1)
	go func() { sent <- c.conn.Send(protocol.Message{Type: protocol.TypeStop}) }()
	timer := time.NewTimer(c.spec.Grace)
	defer timer.Stop()
	var rep *protocol.Report
	select {
	case rep = <-c.report:
	case <-c.drained:
	case <-timer.C:
		c.t.Kill()
	}
	if rep == nil {
		c.t.Kill()
	}
	return rep
}

// complete ends all processes and cleans up.
func (c *Child) complete(res *Result, died bool) (ended string) {
	if res.Ended.IsZero() {
		res.Ended = time.Now()
	}
	if died {
		c.t.Kill()
	}
	// While the first process lives, all that lost their parents are its
	// children, so they are found without fail. A tracer's Exit waits for all.
	if c.t.Descendants != nil && !c.alone {
		res.Killed = c.t.Descendants(died)
	}
	ended = c.end()
	if c.t.Descendants != nil && died {
		res.Killed = append(res.Killed, c.t.Descendants(true)...)
	}
	res.Gone = time.Now()
	<-c.drained
	if c.t.Close != nil {
		undone, err := c.t.Close()
		res.Undone = undone
		if err != nil {
			c.note(logrus.ErrorLevel, err.Error())
		}
	}
	for _, s := range res.Undone {
		c.note(logrus.WarnLevel, "the action left a change that had to be undone: "+s)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	pids := map[int]bool{}
	for _, pid := range slices.Concat(c.pids, res.Killed) {
		pids[pid] = true
	}
	res.PIDs = slices.Sorted(maps.Keys(pids))
	res.Windows = slices.Clone(c.runs)
	res.Log = slices.Clone(c.log)
	if c.leftOut > 0 {
		left := Record{Time: res.Log[0].Time, Level: logrus.InfoLevel.String(), Message: fmt.Sprintf("%d entries before these are left out", c.leftOut)}
		res.Log = append([]Record{left}, res.Log...)
	}
	if c.t.Output != nil {
		res.Output = c.t.Output()
	}
	return ended
}

func (c *Child) exhausted() error {
	if c.t.Exhausted == nil {
		return nil
	}
	return c.t.Exhausted()
}

func (c *Child) note(level logrus.Level, text string) {
	c.keep(Record{Time: time.Now(), Level: level.String(), Message: text})
}

// maxLog bounds what is kept of an action's log: its end, so many bytes; and of
// one entry.
const (
	maxLog   = 1 << 20
	maxEntry = 64 << 10
)

// keep keeps a log entry for the result, and passes it on.
func (c *Child) keep(r Record) {
	r.Message = cutEntry(r.Message)
	for name, value := range r.Fields {
		r.Fields[name] = cutEntry(value)
	}
	c.mu.Lock()
	c.log = append(c.log, r)
	c.logSize += size(r)
	for c.logSize > maxLog && len(c.log) > 1 {
		c.logSize -= size(c.log[0])
		c.log[0] = Record{}
		c.log = c.log[1:]
		c.leftOut++
	}
	c.mu.Unlock()
	if c.spec.Log != nil {
		c.spec.Log(r)
	}
}

func cutEntry(text string) string {
	if over := len(text) - maxEntry; over > 0 {
		return fmt.Sprintf("%s… and %d bytes more", strings.ToValidUTF8(text[:maxEntry], ""), over)
	}
	return text
}

// size is about how much memory a record takes.
func size(r Record) int {
	n := 64 + len(r.Message)
	for name, value := range r.Fields {
		n += 32 + len(name) + len(value)
	}
	return n
}

// end lets the process go, kills it when it does not, and waits until it is
// gone.
func (c *Child) end() string {
	c.conn.Send(protocol.Message{Type: protocol.TypeExit}) // it may be dead
	c.t.In.Close()
	timer := time.AfterFunc(c.spec.Grace, func() { c.t.Kill() })
	defer timer.Stop()
	return c.t.Wait(c.setup.Exit)
}
