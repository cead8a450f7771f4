// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// stopGrace is how long a process may take to stop before it is killed.
const stopGrace = 15 * time.Second

// A process is a server that stops when its standard input ends: when stop
// closes it, or when this process is no more.
type process struct {
	name  string
	cmd   *exec.Cmd
	stdin io.Closer
	said  *tail
	done  chan struct{} // closed when it has ended
	err   error         // how it ended, set before done is closed
}

// start starts a command as a process of its own group, so that the signal of
// a Ctrl-C reaches this process alone, which may have something to clean up in
// the cluster first.
func start(name string, cmd *exec.Cmd, log io.Writer) (*process, error) {
	p := &process{name: name, cmd: cmd, said: &tail{}, done: make(chan struct{})}
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
	return fmt.Errorf("%s ended: %v; it said:\n%s", p.name, p.err, p.said)
}

// A tail keeps the last of what is written to it.
type tail struct {
	mu sync.Mutex
	b  []byte
}

// tailSize is how much a tail keeps, in bytes.
const tailSize = 8 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, b...)
	if over := len(t.b) - tailSize; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(b), nil
}

// String returns the last lines.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(t.b)), "\n")
	return "\t" + strings.Join(lines[max(0, len(lines)-10):], "\n\t")
}
