// SPDX-License-Identifier: Apache-2.0

package child

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/trace"
)

// Child is an action's process, seen from its parent. Its methods are called
// in order, from one goroutine: Open, Wait, End.
type Child struct {
	spec    Spec
	process *os.Process
	gate    io.WriteCloser
	reports <-chan report // closed when the child's end is closed
	output  *output
	folder  string
	result  Result
	exited  string // how the process ended, once it was waited for
}

// grace is what a child that is asked to end has for its cleanups.
const grace = 3 * time.Second

// readyWithin bounds a child's way to its gate: an executable without the hook
// would run something else.
const readyWithin = 20 * time.Second

// Start runs this executable again as an action's child and returns when that
// waits at its gate. The error is [ErrNoHook] when the executable does not
// enter the child's part. The caller must call [Child.End].
func Start(ctx context.Context, spec Spec) (*Child, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("starting a child for %s: %w", spec.Action, err)
	}
	folder, err := os.MkdirTemp("", "falcotest-"+spec.ID+"-")
	if err != nil {
		return nil, fmt.Errorf("starting a child for %s: %w", spec.Action, err)
	}
	// An action that takes on another user's id must still reach its folder.
	if err := os.Chmod(folder, 0o755); err != nil {
		os.Remove(folder)
		return nil, fmt.Errorf("starting a child for %s: %w", spec.Action, err)
	}
	c := &Child{spec: spec, folder: folder}
	if err := c.start(ctx, exe); err != nil {
		c.End()
		return nil, err
	}
	return c, nil
}

func (c *Child) start(ctx context.Context, exe string) error {
	gateRead, gateWrite, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("starting a child for %s: %w", c.spec.Action, err)
	}
	defer gateRead.Close()
	c.gate = gateWrite
	reportRead, reportWrite, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("starting a child for %s: %w", c.spec.Action, err)
	}
	defer reportWrite.Close()
	c.output, err = newOutput()
	if err != nil {
		reportRead.Close()
		return fmt.Errorf("starting a child for %s: %w", c.spec.Action, err)
	}
	defer c.output.write.Close()
	cmd := exec.Command(exe, Verb, c.spec.Action, c.spec.ID)
	cmd.Env = c.environment()
	cmd.Stdout, cmd.Stderr = c.output.write, c.output.write
	cmd.ExtraFiles = []*os.File{gateRead, reportWrite}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if c.spec.Hermetic && isolate(cmd.SysProcAttr) {
		cmd.Env = append(cmd.Env, envMounts+"=1")
	}
	if err := cmd.Start(); err != nil {
		reportRead.Close()
		return fmt.Errorf("starting a child for %s: %w", c.spec.Action, err)
	}
	c.process = cmd.Process
	c.reports = readReports(reportRead)
	reportWrite.Close()

	timer := time.NewTimer(readyWithin)
	defer timer.Stop()
	select {
	case r, ok := <-c.reports:
		if !ok || !r.Ready {
			return fmt.Errorf("starting a child for %s: %w", c.spec.Action, ErrNoHook)
		}
		c.result.Notes = r.Notes
		return nil
	case <-timer.C:
		return fmt.Errorf("starting a child for %s: not ready within %s: %w", c.spec.Action, readyWithin, ErrNoHook)
	case <-ctx.Done():
		return fmt.Errorf("starting a child for %s: %w", c.spec.Action, context.Cause(ctx))
	}
}

// environment is the parent's, less what speaks to the parent alone, behind
// the id and the folder.
func (c *Child) environment() []string {
	env := []string{EnvID + "=" + c.spec.ID, EnvFolder + "=" + c.folder}
	for _, kv := range append(os.Environ(), c.spec.Env...) {
		name, _, _ := strings.Cut(kv, "=")
		switch name {
		case EnvID, EnvFolder, EnvSpawn, EnvDepth, EnvSleep, EnvStdio:
		default:
			env = append(env, kv)
		}
	}
	return env
}

// PID returns the process id of the child.
func (c *Child) PID() int { return c.process.Pid }

// Open opens the gate.
func (c *Child) Open(setup Setup) error {
	c.result.Started = time.Now()
	if _, err := c.gate.Write(encode(setup)); err != nil {
		return fmt.Errorf("opening the gate of %s: %w", c.spec.Action, err)
	}
	return nil
}

// Wait returns when the action and its cleanups have ended, or have been ended:
// at the deadline and when ctx is done the child is asked to run its cleanups,
// and killed when that takes too long.
func (c *Child) Wait(ctx context.Context) Result {
	deadline := c.spec.Deadline
	if deadline <= 0 {
		deadline = 30 * time.Second
	}
	timer := time.NewTimer(deadline)
	defer timer.Stop()
	cancelled := ctx.Done()
	var why string
	for {
		select {
		case r, ok := <-c.reports:
			switch {
			case !ok:
				c.finish(done{Outcome: Crashed}, why)
				return c.result
			case r.Done != nil:
				c.finish(*r.Done, why)
				return c.result
			case r.Log != "":
				c.result.Log = append(c.result.Log, r.Log)
			}
		case <-timer.C:
			if why != "" {
				killTree(c.process.Pid, c.spec.ID)
				c.finish(done{Outcome: TimedOut}, why+", and its cleanups did not end within "+grace.String())
				return c.result
			}
			why = fmt.Sprintf("it did not end within its deadline of %s", deadline)
			c.process.Signal(syscall.SIGTERM)
			timer.Reset(grace)
		case <-cancelled:
			cancelled = nil
			why = fmt.Sprintf("the run was ended: %v", context.Cause(ctx))
			c.process.Signal(syscall.SIGTERM)
			timer.Reset(grace)
		}
	}
}

func (c *Child) finish(d done, why string) {
	c.result.Ended = time.Now()
	c.result.Outcome, c.result.Reason, c.result.Stack = d.Outcome, d.Reason, d.Stack
	if why != "" {
		c.result.Outcome, c.result.Reason = TimedOut, why
	}
}

// End kills what is left of the child's tree, waits until it has gone, and
// removes the action's folder. It is called once, after the tracer of the
// child, if there is one, has returned. It returns the final result, in which
// a crash has its cause: exit tells it when a tracer has waited for the process.
func (c *Child) End(exit ...trace.Exit) Result {
	if c.process != nil {
		killTree(c.process.Pid, c.spec.ID)
		state, err := c.process.Wait()
		switch {
		case len(exit) > 0 && exit[0].Signal != 0:
			c.exited = "it was killed by " + unix.SignalName(exit[0].Signal)
		case len(exit) > 0:
			c.exited = fmt.Sprintf("it exited with status %d", exit[0].Code)
		case err == nil:
			c.exited = "it ended with " + state.String()
			if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
				c.exited = "it was killed by " + unix.SignalName(ws.Signal())
			}
		case !errors.Is(err, syscall.ECHILD):
			c.exited = err.Error()
		}
	}
	if c.gate != nil {
		c.gate.Close()
	}
	if c.reports != nil {
		for range c.reports {
		}
	}
	if c.output != nil {
		c.result.Log = append(c.result.Log, c.output.lines()...)
	}
	if c.result.Outcome == Crashed && c.result.Reason == "" {
		c.result.Reason = "the action's process ended without a word"
		if c.exited != "" {
			c.result.Reason += ": " + c.exited
		}
	}
	if err := os.RemoveAll(c.folder); err != nil {
		c.result.Notes = append(c.result.Notes, fmt.Sprintf("removing the folder of %s: %v", c.spec.Action, err))
	}
	return c.result
}

func readReports(from *os.File) <-chan report {
	c := make(chan report, 16)
	go func() {
		defer close(c)
		defer from.Close()
		lines := bufio.NewReader(from)
		for {
			line, err := lines.ReadBytes('\n')
			if err != nil {
				return
			}
			var r report
			if json.Unmarshal(line, &r) == nil {
				c <- r
			}
		}
	}()
	return c
}

// output keeps the last of what a child and its programs print.
type output struct {
	write *os.File
	ended chan struct{}
	mu    sync.Mutex
	text  []byte
}

const outputLimit = 64 << 10

func newOutput() (*output, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	o := &output{write: w, ended: make(chan struct{})}
	go func() {
		defer close(o.ended)
		defer r.Close()
		buf := make([]byte, 4096)
		for {
			n, err := r.Read(buf)
			o.mu.Lock()
			o.text = append(o.text, buf[:n]...)
			if over := len(o.text) - outputLimit; over > 0 {
				o.text = o.text[over:]
			}
			o.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return o, nil
}

// lines waits until all writers have gone and returns what they wrote.
func (o *output) lines() []string {
	<-o.ended
	o.mu.Lock()
	defer o.mu.Unlock()
	text := strings.TrimRight(string(o.text), "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// Leftovers lists what earlier runs that were killed left in the folder for
// temporary files: folders of actions whose processes have gone.
func Leftovers() []string {
	found, _ := filepath.Glob(filepath.Join(os.TempDir(), "falcotest-ft*-*"))
	return found
}
