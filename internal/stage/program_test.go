// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package stage

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// The program that waits can be executed from a file and from memory, and is
// still there afterwards.
func TestWaiting(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "from-a-file")
	if err := os.WriteFile(file, Waiting(), 0o755); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.MemfdCreate("x", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, Waiting()); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "from-memory")
	if err := os.Symlink(fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), fd), link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{file: file, link: "/memfd:x (deleted)"} {
		ready, running, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		p, err := os.StartProcess(path, []string{"argv0", "one"}, &os.ProcAttr{Files: []*os.File{nil, nil, nil, running}})
		running.Close()
		if err != nil {
			t.Fatal(err)
		}
		if n, err := ready.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("%s does not say that it runs: %v", path, err)
		}
		ready.Close()
		exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", p.Pid))
		comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", p.Pid))
		if exe != want || strings.TrimSpace(string(comm)) != filepath.Base(path) {
			t.Errorf("%s runs %s as %q (%v), want %s", path, exe, comm, err, want)
		}
		p.Kill()
		if state, err := p.Wait(); err != nil || !strings.Contains(state.String(), "killed") {
			t.Errorf("%s ended by itself: %v, %v", path, state, err)
		}
	}
}

// chain is the process of a program, whose socket is at [ControlFD].
type chain struct {
	*os.Process
	control int
}

// runProgram executes a program with an order for it.
func runProgram(t *testing.T, program []byte, orders ...Order) *chain {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, program, 0o755); err != nil {
		t.Fatal(err)
	}
	// The number is the whole process's.
	control, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(control) })
	for _, order := range orders {
		if err := order.Send(control); err != nil {
			t.Fatal(err)
		}
	}
	p, err := os.StartProcess(path, []string{path}, &os.ProcAttr{Env: []string{}, Files: []*os.File{nil, os.Stderr, os.Stderr}})
	unix.Close(ControlFD)
	if err != nil {
		t.Fatal(err)
	}
	return &chain{p, control}
}

func (c *chain) receive(t *testing.T) (r Report) {
	t.Helper()
	if err := Receive(c.control, &r); err != nil {
		t.Fatalf("no report: %v", err)
	}
	return r
}

// ends waits for the end, by itself, with a status.
func (c *chain) ends(t *testing.T, want int) {
	t.Helper()
	if state, err := c.Wait(); err != nil || state.ExitCode() != want {
		t.Errorf("it ended with %v, %v; want exit status %d", state, err, want)
	}
}

func TestEnding(t *testing.T) {
	c := runProgram(t, Ending())
	if diff := cmp.Diff(Report{Done: true}, c.receive(t)); diff != "" {
		t.Errorf("reported (-want +got):\n%s", diff)
	}
	c.ends(t, 0)
}

// A process of machine code starts another with just the name, the arguments and the
// environment that it should have, says which it is, and ends after it.
func TestStarting(t *testing.T) {
	for _, last := range []bool{false, true} {
		t.Run(fmt.Sprintf("last=%t", last), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "the waiting one")
			if err := os.WriteFile(path, Waiting(), 0o755); err != nil {
				t.Fatal(err)
			}
			l := &Launch{Path: path, Argv: []string{"argv0", "", "two words"}, Env: []string{"STAGE_TEST=new"}, Last: last}
			base := []string{"STAGE_TEST=old", "HOME=/", "FALCOTEST_CONTROL=action"}
			c := runProgram(t, l.Starting(base), Order{})
			started := c.receive(t)
			if started.PID <= 0 || started.PID == c.Pid {
				t.Fatalf("reported %+v, want the number of the process", started)
			}
			for file, want := range map[string]string{
				"cmdline": "argv0\x00\x00two words\x00",
				"environ": "HOME=/\x00STAGE_TEST=new\x00FALCOTEST_STAGE=900\x00",
				"comm":    "the waiting one\n",
			} {
				got, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", started.PID, file))
				// Who waits for an execution goes on before the kernel has set these.
				for end := time.Now().Add(10 * time.Second); err == nil && string(got) != want && time.Now().Before(end); {
					time.Sleep(time.Millisecond)
					got, err = os.ReadFile(fmt.Sprintf("/proc/%d/%s", started.PID, file))
				}
				if err != nil || string(got) != want {
					t.Errorf("its %s is %q, %v; want %q", file, got, err, want)
				}
			}
			if err := unix.Kill(started.PID, unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			c.ends(t, int(unix.SIGKILL))
		})
	}
}

// A chain of such processes passes its end on.
func TestStartingMany(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, program []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, program, 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const long = 40
	var env []string
	for i := range long {
		env = append(env, fmt.Sprintf("VARIABLE%d=%s", i, strings.Repeat("x", 1000)))
	}
	l := &Launch{Path: file("last", Ending()), Argv: []string{"last"}, Last: true}
	orders := make([]Order, long)
	for i := range long - 1 {
		name := fmt.Sprint("process", i)
		l = &Launch{Path: file(name, l.Starting(env)), Argv: []string{name}}
	}
	c := runProgram(t, l.Starting(env), orders...)
	pids := map[int]bool{}
	done := false
	for range long + 1 {
		r := c.receive(t)
		done = done || r.Done
		if r.PID != 0 {
			pids[r.PID] = true
		}
	}
	if len(pids) != long || !done {
		t.Errorf("%d processes were started, done: %t; want %d, true", len(pids), done, long)
	}
	c.ends(t, 0)
}

func TestStartingFails(t *testing.T) {
	l := &Launch{Path: "/nowhere/at/all", Argv: []string{"a name"}, Last: true}
	c := runProgram(t, l.Starting(nil), Order{})
	want := Report{Done: true, Failure: "starting the process a name: no such file or directory"}
	got := c.receive(t)
	if got.PID != 0 { // of the one that could not execute
		got = c.receive(t)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reported (-want +got):\n%s", diff)
	}
	c.ends(t, 2)
}

// Where the director has died, nothing is started.
func TestStartingForNobody(t *testing.T) {
	l := &Launch{Path: "/proc/self/exe", Argv: []string{"x"}}
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, l.Starting(nil), 0o755); err != nil {
		t.Fatal(err)
	}
	p, err := os.StartProcess(path, []string{path}, &os.ProcAttr{}) // without the socket
	if err != nil {
		t.Fatal(err)
	}
	(&chain{Process: p}).ends(t, 2)
}

func BenchmarkStart(b *testing.B) {
	path := filepath.Join(b.TempDir(), "program")
	l := &Launch{Path: path, Argv: []string{"x"}}
	if err := os.WriteFile(path, l.Starting(nil), 0o755); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		p, err := os.StartProcess(path, []string{path}, &os.ProcAttr{})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := p.Wait(); err != nil {
			b.Fatal(err)
		}
	}
}
