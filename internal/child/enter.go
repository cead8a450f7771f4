// SPDX-License-Identifier: Apache-2.0

package child

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/falcotest/go-falcotest/events"
)

// Process is the part that this process plays.
type Process struct {
	Action  string
	ID      string
	Spawned bool
	Depth   int
	// Log sends a line to the parent, or to the standard error stream.
	Log func(line string)
}

// Run runs an action; it returns when the action and its cleanups have ended,
// or, having run the cleanups, when stop is closed.
type Run func(p Process, stop <-chan struct{}) error

// Enter plays the child's part, if this process has one, and then does not
// return: the process exits. Otherwise it returns at once.
func Enter(run Run) {
	if name := os.Getenv(EnvSpawn); name != "" {
		os.Exit(enterSpawned(name, run))
	}
	if len(os.Args) == 4 && os.Args[1] == Verb {
		os.Exit(enterAction(os.Args[2], os.Args[3], run))
	}
}

// enterSpawned is a child that an action started by SpawnAs: nothing but the
// environment tells it from the program that it plays.
func enterSpawned(name string, run Run) int {
	// What this process executes is another program, not a copy of this one.
	os.Unsetenv(EnvSpawn)
	depth, _ := strconv.Atoi(os.Getenv(EnvDepth))
	if d, err := time.ParseDuration(os.Getenv(EnvSleep)); err == nil && d > 0 {
		os.Unsetenv(EnvSleep)
		time.Sleep(d)
	}
	stop := make(chan struct{})
	terminated(stop)
	p := Process{Action: name, ID: os.Getenv(EnvID), Spawned: true, Depth: depth,
		Log: func(line string) { fmt.Fprintln(os.Stderr, line) }}
	d := protect(func() error { return run(p, stop) })
	switch d.Outcome {
	case Completed:
		return 0
	case Skipped:
		fmt.Fprintln(os.Stderr, SkipMark+d.Reason)
		return ExitSkipped
	}
	fmt.Fprintln(os.Stderr, d.Reason)
	if d.Stack != "" {
		fmt.Fprintln(os.Stderr, d.Stack)
	}
	return 1
}

// A spawned child that skips exits so and writes its reason behind the mark.
const (
	ExitSkipped = 97
	SkipMark    = "falcotest-skipped: "
)

func enterAction(name, id string, run Run) int {
	in, out := gate()
	var mu sync.Mutex
	send := func(r report) {
		mu.Lock()
		defer mu.Unlock()
		out.Write(encode(r))
	}
	// What an action prints to the standard streams reaches the parent as it
	// is; its log goes with the reports.
	notes := prepare()
	send(report{Ready: true, Notes: notes})
	lines := bufio.NewReader(in)
	line, err := lines.ReadBytes('\n')
	if err != nil {
		return 3 // the parent has gone
	}
	var setup Setup
	if err := json.Unmarshal(line, &setup); err != nil {
		send(report{Done: &done{Outcome: Failed, Reason: fmt.Sprintf("reading what the parent said at the gate: %v", err)}})
		return 3
	}
	if len(setup.Filter) > 0 {
		if err := installFilter(setup.Filter); err != nil {
			send(report{Done: &done{Outcome: Failed, Reason: fmt.Sprintf("installing the tracer's system call filter: %v", err)}})
			return 3
		}
	}
	stop := make(chan struct{})
	terminated(stop)
	go func() {
		io.Copy(io.Discard, lines) // until the parent has gone
		endSession()
	}()
	p := Process{Action: name, ID: id, Log: func(line string) { send(report{Log: line}) }}
	d := protect(func() error { return run(p, stop) })
	send(report{Done: &d})
	return 0
}

// terminated closes stop when this process is asked to end.
func terminated(stop chan<- struct{}) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGTERM)
	go func() {
		<-c
		close(stop)
	}()
}

// protect turns the end of an action, panics included, into a report.
func protect(run func() error) (d done) {
	defer func() {
		if v := recover(); v != nil {
			d = done{Outcome: Failed, Reason: fmt.Sprintf("panic: %v", v), Stack: string(debug.Stack())}
		}
	}()
	err := run()
	var skipped *events.ErrSkipped
	switch {
	case err == nil:
		return done{Outcome: Completed}
	case errors.As(err, &skipped):
		return done{Outcome: Skipped, Reason: skipped.Reason}
	case errors.Is(err, ErrStopped):
		return done{Outcome: TimedOut, Reason: err.Error()}
	}
	return done{Outcome: Failed, Reason: err.Error()}
}

// ErrStopped is what a [Run] returns when it was stopped.
var ErrStopped = errors.New("stopped at its deadline")

// gate returns what the parent's words are read from and answered to.
func gate() (in io.Reader, out io.Writer) {
	if os.Getenv(EnvStdio) != "" {
		os.Unsetenv(EnvStdio)
		return os.Stdin, os.Stdout
	}
	return inherited(3, "gate"), inherited(4, "reports")
}
