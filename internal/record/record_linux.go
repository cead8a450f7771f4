// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package record

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/capture"
	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/marks"
	"github.com/falcotest/go-falcotest/internal/trace"
)

// gateFD is where the filter is read from.
const gateFD = 3

// Command runs a command with this process's standard streams and writes what it
// and its descendants do to out. It ends when the last of them has; SIGINT and
// SIGTERM go to the command. The error is nil when the recording is whole,
// whatever the command's exit status.
func Command(ctx context.Context, argv []string, out io.Writer, opts Options) (Result, error) {
	var r Result
	if err := trace.Supported(); err != nil {
		return r, fmt.Errorf("recording a command: %w", err)
	}
	program, err := exec.LookPath(argv[0])
	if err != nil {
		return r, fmt.Errorf("recording a command: %w", err)
	}
	if opts.Types == nil {
		opts.Types = capture.DefaultTypes()
	}
	filter, err := trace.Program(opts.Types)
	if err != nil {
		return r, fmt.Errorf("recording a command: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return r, fmt.Errorf("recording a command: %w", err)
	}
	gate, key, err := os.Pipe()
	if err != nil {
		return r, fmt.Errorf("recording a command: %w", err)
	}
	defer key.Close()
	cmd := exec.Command(self, append([]string{GateVerb, program}, argv...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{gate}
	err = cmd.Start()
	gate.Close()
	if err != nil {
		return r, fmt.Errorf("recording a command: %w", err)
	}
	w := capture.NewWriter(out, opts.Writer)
	var failed error
	began := false
	tr, err := trace.Attach(ctx, cmd.Process.Pid, trace.Options{Types: opts.Types, Handler: func(e *event.Event) {
		began = began || (e.Type == event.SysExecve && e.Ret == 0)
		if began && failed == nil {
			failed = w.Event(e)
		}
	}})
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return r, fmt.Errorf("recording a command: %w", err)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case s := <-signals:
				_ = unix.Kill(cmd.Process.Pid, s.(syscall.Signal))
			case <-done:
				return
			}
		}
	}()
	if _, err := key.Write(filter); err != nil {
		return r, fmt.Errorf("recording a command: opening its gate: %w", err)
	}
	key.Close()
	exit, err := tr.Wait()
	_ = cmd.Process.Release()
	if err := errors.Join(err, failed, w.Close()); err != nil {
		return r, fmt.Errorf("recording a command: %w", err)
	}
	r.Code, r.Events = exit.Code, w.Events()
	if exit.Signal != 0 {
		r.Code = 128 + int(exit.Signal)
	}
	return r, nil
}

// Gate waits for the filter, installs it and becomes the command: args are its
// path and its arguments, argv[0] included. It returns only an error.
func Gate(args []string) error {
	if len(args) < 2 {
		return errors.New("waiting at the gate: no command was given")
	}
	var filter []byte
	buf := make([]byte, 4096)
	for {
		n, err := unix.Read(gateFD, buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("waiting at the gate: %w", err)
		}
		if n == 0 {
			break
		}
		filter = append(filter, buf[:n]...)
	}
	_ = unix.Close(gateFD)
	if len(filter) == 0 {
		return errors.New("waiting at the gate: nobody opened it")
	}
	if err := marks.InstallFilter(filter); err != nil {
		return err
	}
	if err := unix.Exec(args[0], args[1:], os.Environ()); err != nil {
		return fmt.Errorf("executing %s: %w", args[0], err)
	}
	return nil
}
