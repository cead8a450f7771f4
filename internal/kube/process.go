// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"github.com/falcotest/go-falcotest/internal/tail"
)

// stopGrace is how long a process may take to stop before it is killed.
const stopGrace = 15 * time.Second

// A process is a server that stops when its standard input ends: when stop
// closes it, or when this process is no more.
type process struct {
	name  string
	cmd   *exec.Cmd
	stdin io.Closer
	said  *tail.Writer
	done  chan struct{} // closed when it has ended
	err   error         // how it ended, set before done is closed
}

// start starts a command as a process of its own group, so that the signal of
// a Ctrl-C reaches this process alone, which may have something to clean up in
// the cluster first.
func start(name string, cmd *exec.Cmd, log io.Writer) (*process, error) {
	p := &process{name: name, cmd: cmd, said: &tail.Writer{}, done: make(chan struct{})}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p.stdin = stdin
	cmd.Stderr = p.said
	if log != nil {
		cmd.Stderr = io.MultiWriter(p.said, log)
	}
	if cmd.Stdout == nil {
		cmd.Stdout = cmd.Stderr
	}
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// stop stops the process and waits for its end.
func (p *process) stop() error {
	p.stdin.Close()
	kill := time.AfterFunc(stopGrace, func() { p.cmd.Process.Kill() })
	<-p.done
	if !kill.Stop() {
		return fmt.Errorf("%s did not stop within %v and was killed", p.name, stopGrace)
	}
	return nil
}

// failure says that the process ended, and what it said last.
func (p *process) failure() error {
	return fmt.Errorf("%s ended: %v; it said:\n%s", p.name, p.err, "\t"+strings.Join(p.said.Lines(10), "\n\t"))
}
