// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package trace_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/marks"
	"github.com/falcotest/go-falcotest/internal/trace"
)

// tracees are what the test binary does when it is run to be traced.
var tracees = map[string]func(args []string){}

// atGate is what some of them do while they wait at their gate, once it has
// written to the standard output.
var atGate = map[string]func(){}

const traceeEnv = "FALCOTEST_TRACEE"

func TestMain(m *testing.M) {
	if name := os.Getenv(traceeEnv); name != "" {
		beTraced(name)
	}
	code := m.Run()
	if left := leaks(); len(left) > 0 {
		fmt.Fprintln(os.Stderr, "processes left behind:", left)
		code = 1
	}
	os.Exit(code)
}

// beTraced waits at the gate for the filter, installs it and becomes the
// tracee of that name. It never returns.
func beTraced(name string) {
	if f := atGate[name]; f != nil {
		go f()
	}
	// Not with package os, which would open descriptors of its own.
	var prog []byte
	var err error
	for buf := make([]byte, 4096); ; {
		var n int
		if n, err = unix.Read(3, buf); n <= 0 {
			break
		}
		prog = append(prog, buf[:n]...)
	}
	unix.Close(3)
	if err == nil && len(prog) > 0 {
		err = marks.InstallFilter(prog)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(111)
	}
	tracees[name](os.Args[1:])
	os.Exit(0)
}

// leaks returns the command lines of this program's children that still live.
func leaks() (left []string) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		env, err := os.ReadFile(dir + "/environ")
		if err != nil || !bytes.Contains(env, []byte(fmt.Sprintf("%s_OF=%d\x00", traceeEnv, os.Getpid()))) {
			continue
		}
		cmdline, _ := os.ReadFile(dir + "/cmdline")
		left = append(left, dir+" "+strings.ReplaceAll(string(cmdline), "\x00", " "))
	}
	return left
}

// types looks event types up by name.
func types(t testing.TB, names ...string) (list []event.Type) {
	t.Helper()
	for _, name := range names {
		typ, ok := event.ByName(name)
		if !ok {
			t.Fatalf("no event type is called %s", name)
		}
		list = append(list, typ)
	}
	return list
}

// traced is a tracee that waits at its gate with a tracer attached.
type traced struct {
	*trace.Tracer
	cmd  *exec.Cmd
	gate *os.File
	prog []byte
	out  string // the file that holds what it printed
}

func needTracing(t testing.TB) {
	t.Helper()
	if err := trace.Supported(); err != nil {
		t.Skip(err)
	}
}

// attach starts a tracee and attaches to it.
func attach(t testing.TB, ctx context.Context, opts trace.Options, name string, args ...string) *traced {
	t.Helper()
	needTracing(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	outFile, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), traceeEnv+"="+name, fmt.Sprintf("%s_OF=%d", traceeEnv, os.Getpid()))
	cmd.ExtraFiles = []*os.File{r}
	cmd.Stdout, cmd.Stderr = outFile, outFile
	var busy io.ReadCloser
	if atGate[name] != nil {
		cmd.Stdout = nil
		if busy, err = cmd.StdoutPipe(); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.Close()
	if busy != nil {
		if _, err := io.ReadFull(busy, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		busy.Close()
	}
	prog, err := trace.Program(opts.Types)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := trace.Attach(ctx, cmd.Process.Pid, opts)
	if err != nil {
		w.Close()
		cmd.Process.Kill()
		cmd.Wait()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.Close()
		tr.Wait()
		cmd.Process.Release()
		text, _ := os.ReadFile(outFile.Name())
		outFile.Close()
		if len(text) > 0 && t.Failed() {
			t.Logf("output of the tracee:\n%s", text)
		}
	})
	return &traced{tr, cmd, w, prog, outFile.Name()}
}

// open opens the gate.
func (tr *traced) open() {
	tr.gate.Write(tr.prog)
	tr.gate.Close()
}

// record traces a tracee to its end and returns its events of these types.
func record(t testing.TB, names []string, name string, args ...string) []*event.Event {
	t.Helper()
	return recordBy(t, 0, names, name, args...)
}

// recordBy does so by some of the ways in which tracees can be looked at.
func recordBy(t testing.TB, ways trace.Way, names []string, name string, args ...string) []*event.Event {
	t.Helper()
	var events []*event.Event
	tr := attach(t, context.Background(), trace.Options{
		Types:   types(t, names...),
		Handler: func(e *event.Event) { events = append(events, e.Clone()) },
		Ways:    ways,
	}, name, args...)
	tr.open()
	exit, err := tr.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if exit.Code != 0 || exit.Signal != 0 {
		t.Errorf("the tracee ended with %+v", exit)
	}
	return events
}

func init() {
	tracees["nothing"] = func([]string) {}
	tracees["exec"] = func(args []string) {
		path, err := exec.LookPath(args[0])
		if err == nil {
			err = syscall.Exec(path, args, os.Environ())
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
