// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"
)

// A spec says what a node is. Package nodes writes it.
type spec struct {
	Hostname string
	Dir      string  // is removed at the end
	Binds    []bind  // in this order
	Groups   []group // one in each hierarchy of control groups
	Servers  []server
}

// A bind shows a file or a folder at another path.
type bind struct{ From, To string }

// A server is a program that runs as long as the node does.
type server struct {
	Name   string
	Args   []string
	Socket string // where it listens: then its name is said, as a line of standard output, when it does
}

// The namespace of control groups is a thread's own, and processes inherit that
// of the thread that starts them: so all that matters is done on the first.
func init() { runtime.LockOSThread() }

// node is the first process of a node. It returns when standard input or one of
// the servers has ended, and then nothing of the node runs any more.
func node(file string) error {
	signal.Ignore(syscall.SIGPIPE) // nobody may read what is said
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var s spec
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	outside, err := enterGroups(s.Groups)
	defer func() { leaveGroups(outside) }()
	if err != nil {
		return err
	}
	defer remove(s)
	if err := arrange(s); err != nil {
		return err
	}
	ctx, end := context.WithCancelCause(context.Background())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		end(nil)
	}()
	c := children{names: map[int]string{}, gone: make(chan struct{}), end: end}
	defer c.killAll()
	for _, s := range s.Servers {
		if err := c.start(s); err != nil {
			return fmt.Errorf("starting %s: %w", s.Name, err)
		}
		if s.Socket != "" && listens(ctx, s.Socket) {
			fmt.Println(s.Name)
		}
	}
	<-ctx.Done()
	if err := context.Cause(ctx); err != context.Canceled {
		return err
	}
	return nil
}

// children are the node's processes.
type children struct {
	end func(error)

	mu    sync.Mutex
	names map[int]string // of the servers
	gone  chan struct{}  // closed when there are no processes any more
}

func (c *children) start(s server) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	pid, err := syscall.ForkExec(s.Args[0], s.Args, &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{null.Fd(), 2, 2}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return err
	}
	if len(c.names) == 0 {
		go c.reap()
	}
	c.names[pid] = s.Name
	return nil
}

// reap waits for processes until there are none: those that lose their parent
// become this one's.
func (c *children) reap() {
	defer close(c.gone)
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return
		}
		c.mu.Lock()
		name := c.names[pid]
		c.mu.Unlock()
		switch {
		case name == "":
		case status.Signaled():
			c.end(fmt.Errorf("%s ended: signal: %v", name, status.Signal()))
		default:
			c.end(fmt.Errorf("%s ended: exit status %d", name, status.ExitStatus()))
		}
	}
}

// killAll kills all that runs in the PID namespace, and waits until nothing does.
func (c *children) killAll() {
	if len(c.names) == 0 {
		return
	}
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		syscall.Kill(-1, syscall.SIGKILL)
		select {
		case <-c.gone:
			return
		case <-again.C:
		}
	}
}

// listens waits until a server listens at a unix socket.
func listens(ctx context.Context, path string) bool {
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		if conn, err := net.Dial("unix", path); err == nil {
			conn.Close()
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-again.C:
		}
	}
}

// arrange makes the mount namespace the node's: what is done in it is not seen
// outside.
func arrange(s spec) error {
	if err := syscall.Sethostname([]byte(s.Hostname)); err != nil {
		return fmt.Errorf("setting the host name: %w", err)
	}
	if err := share("/"); err != nil {
		return err
	}
	if err := syscall.Mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	for _, b := range s.Binds {
		if err := syscall.Mount(b.From, b.To, "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
			return fmt.Errorf("mounting %s at %s: %w", b.From, b.To, err)
		}
		if err := share(b.To); err != nil {
			return err
		}
	}
	return mountGroups(s.Groups)
}

// share keeps mounts below a path from being seen where they come from, and lets
// pods share them with the node.
func share(path string) error {
	for _, how := range []uintptr{syscall.MS_SLAVE, syscall.MS_SHARED} {
		if err := syscall.Mount("", path, "", syscall.MS_REC|how, ""); err != nil {
			return fmt.Errorf("keeping mounts below %s to the node: %w", path, err)
		}
	}
	return nil
}

// remove removes the node's folder, when nothing runs any more.
func remove(s spec) {
	for _, b := range slices.Backward(s.Binds) {
		syscall.Unmount(b.To, syscall.MNT_DETACH) // with what pods had below it
	}
	os.RemoveAll(s.Dir)
}
