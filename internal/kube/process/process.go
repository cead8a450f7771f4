// SPDX-License-Identifier: Apache-2.0

// Package process runs the servers that a cluster is made of, so that they end
// when this process does.
//
// The package imports internal/tail, and internal/kube/programs for messages.
package process

import (
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"github.com/falcotest/go-falcotest/internal/tail"
)

// Grace is how long a process may take to stop before it is killed.
const Grace = 15 * time.Second

// A Process is a server that stops when its standard input ends: when Stop
// closes it, or when this process is no more.
type Process struct {
	Name string
	PID  int
	Said *tail.Writer  // the end of what it said
	Done chan struct{} // closed when it has ended

	cmd   *exec.Cmd
	stdin io.Closer
	err   error // how it ended, set before Done is closed
}

// Start starts a command as a process of its own group, so that the signal of
// a Ctrl-C reaches this process alone, which may have something to clean up in
// the cluster first.
func Start(name string, cmd *exec.Cmd, log io.Writer) (*Process, error) {
	p := &Process{Name: name, Said: &tail.Writer{}, Done: make(chan struct{}), cmd: cmd}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p.stdin = stdin
	cmd.Stderr = p.Said
	if log != nil {
		cmd.Stderr = io.MultiWriter(p.Said, log)
	}
	if cmd.Stdout == nil {
		cmd.Stdout = cmd.Stderr
	}
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p.PID = cmd.Process.Pid
	go func() {
		p.err = cmd.Wait()
		close(p.Done)
	}()
	return p, nil
}

// Stop stops the process and waits for its end.
func (p *Process) Stop() error {
	p.stdin.Close()
	kill := time.AfterFunc(Grace, func() { p.cmd.Process.Kill() })
	<-p.Done
	if !kill.Stop() {
		return fmt.Errorf("%s did not stop within %v and was killed", p.Name, Grace)
	}
	return nil
}

// Kill kills the process and waits for its end.
func (p *Process) Kill() {
	p.cmd.Process.Kill()
	<-p.Done
	p.stdin.Close()
}

// Failure says that the process ended, and what it said last.
func (p *Process) Failure() error {
	return fmt.Errorf("%s ended: %v; it said:\n%s", p.Name, p.err, "\t"+strings.Join(p.Said.Lines(10), "\n\t"))
}
