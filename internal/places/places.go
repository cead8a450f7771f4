// SPDX-License-Identifier: Apache-2.0

// Package places runs this program's tests again where it may do less than
// here, or sees less: in containers, in namespaces, without capabilities, and
// where system calls are forbidden. It is for tests of this module alone.
//
// It imports events and internal/container, and is imported by tests. A test
// asks for [All] places and has each [Place.Run] the program with arguments that
// select another test; that one finds itself there, and hands its results back
// by a file. TestMain calls [Main] first.
package places

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/container"
)

// Place is a way to run this program.
type Place struct {
	// Name is how one comes there, as a command or in words.
	Name string
	// What it is, for a table.
	What string

	container *events.Container     // of the container, nil on this machine
	start     func(*exec.Cmd) error // changes how the process is started
	enter     func() error          // what the process does to itself before it runs tests
}

// InContainer tells whether the place is a container.
func (p Place) InContainer() bool { return p.container != nil }

// UnavailableError says why a place cannot be made here.
type UnavailableError struct {
	Place string
	Err   error
}

// Error implements error.
func (e *UnavailableError) Error() string { return fmt.Sprintf("%s: %v", e.Place, e.Err) }

// Unwrap returns the underlying error.
func (e *UnavailableError) Unwrap() error { return e.Err }

// Command is a run of this program.
type Command struct {
	Args   []string // after the program
	Env    []string // NAME=value, beside this process's environment
	Dir    string   // working directory; in a container it is mounted read-only
	Shared string   // a directory that the run may write to
	Mounts []string // "/path:/path:ro": what else a container gets
	Output io.Writer
}

const (
	envEnter  = "PLACES_ENTER"  // the place that a process has to enter
	envShared = "PLACES_SHARED" // its Command.Shared
)

// Run runs this program there, to its end. The error is an [UnavailableError]
// when the place cannot be made.
func (p Place) Run(ctx context.Context, engine *container.Engine, c Command) error {
	if p.container != nil {
		if engine == nil {
			return &UnavailableError{p.Name, fmt.Errorf("there is no container engine")}
		}
		like := *p.container
		like.Mounts = append([]string{c.Dir + ":" + c.Dir + ":ro", c.Shared + ":" + c.Shared}, c.Mounts...)
		return engine.Run(ctx, container.Program{
			Args: c.Args, Dir: c.Dir, Output: c.Output,
			Env: append([]string{
				"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", envEnter + "=" + p.Name,
			}, c.Env...),
		}, like)
	}
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this executable: %w", err)
	}
	cmd := exec.CommandContext(ctx, exe, c.Args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.Dir, c.Output, c.Output
	cmd.Env = append(append(os.Environ(), envEnter+"="+p.Name, envShared+"="+c.Shared), c.Env...)
	if p.start != nil {
		if err := p.start(cmd); err != nil {
			return &UnavailableError{p.Name, err}
		}
	}
	if err := cmd.Start(); err != nil {
		return &UnavailableError{p.Name, err}
	}
	if err := cmd.Wait(); err != nil {
		if cmd.ProcessState.ExitCode() == exitUnavailable {
			return &UnavailableError{p.Name, fmt.Errorf("see the output")}
		}
		return err
	}
	return nil
}

// exitUnavailable is the exit status of a process that could not enter its place.
const exitUnavailable = 120

// Main lets a process that Run started enter its place; in any other it returns
// at once.
func Main() {
	name, ok := os.LookupEnv(envEnter)
	if !ok {
		return
	}
	os.Unsetenv(envEnter)
	for _, p := range All() {
		if p.Name == name && p.enter != nil {
			if err := p.enter(); err != nil {
				fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
				os.Exit(exitUnavailable)
			}
		}
	}
}
