// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package record

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/capture"
	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/trace"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == GateVerb {
		fmt.Fprintln(os.Stderr, Gate(os.Args[2:]))
		os.Exit(126)
	}
	os.Exit(m.Run())
}

func record(t *testing.T, ctx context.Context, script string, opts Options) (Result, []*event.Event, error) {
	t.Helper()
	if err := trace.Supported(); err != nil {
		t.Skip(err)
	}
	var out bytes.Buffer
	r, err := Command(ctx, []string{"sh", "-c", script}, &out, opts)
	if err != nil {
		return r, nil, err
	}
	p, err := capture.NewPlayer(&out)
	if err != nil {
		t.Fatal(err)
	}
	var list []*event.Event
	for {
		e, err := p.Next()
		if errors.Is(err, io.EOF) {
			return r, list, nil
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, e.Clone())
	}
}

// The recording begins with the command's execve, has what its children do, and ends
// with its end.
func TestCommand(t *testing.T) {
	r, list, err := record(t, t.Context(), "(exit 4); (exit 5); exit 6", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Code != 6 || r.Events == 0 {
		t.Errorf("the result is %+v", r)
	}
	if len(list) == 0 || list[0].Type != event.SysExecve {
		t.Fatalf("of %d events the first is no execve", len(list))
	}
	exits := 0
	for _, e := range list {
		if e.Type == event.EvtProcexit {
			exits++
		}
	}
	if last := list[len(list)-1]; exits < 3 || last.Type != event.EvtProcexit || last.Thread.Process.PID != list[0].Thread.Process.PID {
		t.Errorf("%d processes end, and the last event is %v", exits, last.Type)
	}
}

// Only the types that are asked for are recorded.
func TestTypes(t *testing.T) {
	_, list, err := record(t, t.Context(), "cd /; exec sh -c :", Options{Types: []event.Type{event.SysExecve, event.SysChdir}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range list {
		if e.Ret == 0 && e.Def().IsSyscall() { // the shell looks for itself along the path
			got = append(got, e.Type.String())
		}
	}
	if want := "execve chdir execve"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// When the context ends, so does the command with all that it started, and what was
// recorded is not taken for the whole.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	go func() {
		if f, err := os.Open(fifo); err == nil { // until the command has opened it, too
			f.Close()
		}
		cancel()
	}()
	if _, _, err := record(t, ctx, ": > "+fifo+"; exec sleep 1000", Options{}); err == nil {
		t.Error("a command that was ended was recorded without an error")
	}
}

func TestGate(t *testing.T) {
	if err := Gate(nil); err == nil || !strings.Contains(err.Error(), "no command was given") {
		t.Errorf("error %v", err)
	}
}
