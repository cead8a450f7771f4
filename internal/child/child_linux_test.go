// SPDX-License-Identifier: Apache-2.0

package child_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/journal"
)

// undoer is what the default helper offers to package helper.
type undoer interface {
	Undo(journal.Op) error
	ID() string
}

func init() {
	for name, action := range map[string]events.Action{
		"completes": func(h events.Helper) error { h.Log().WithField("x", 1).Info("hello"); return nil },
		"skips":     func(events.Helper) error { return &events.ErrSkipped{Reason: "no reason"} },
		"fails":     func(events.Helper) error { return errors.New("boom") },
		"panics":    func(events.Helper) error { panic("boom") },
		"goexits":   func(events.Helper) error { runtime.Goexit(); return nil },
		"exits":     func(events.Helper) error { os.Exit(3); return nil },
		"crashes":   func(events.Helper) error { return unix.Kill(os.Getpid(), unix.SIGKILL) },
		"prints":    func(events.Helper) error { fmt.Println("to stdout"); fmt.Fprintln(os.Stderr, "to stderr"); return nil },
		"hangs": func(h events.Helper) error {
			h.Cleanup(func() { h.Log().Info("cleaned up") })
			h.Log().Info("hanging")
			select {}
		},
		"hangs.cleanup": func(h events.Helper) error {
			h.Cleanup(func() { select {} })
			h.Log().Info("hanging")
			select {}
		},
		"cleans": func(h events.Helper) error {
			h.Cleanup(func() { h.Log().Info("first") })
			h.Cleanup(func() { panic("second") })
			h.Cleanup(func() { h.Cleanup(func() { h.Log().Info("from a cleanup") }); h.Log().Info("third") }, "arg")
			return nil
		},
		"describes": func(h events.Helper) error {
			comm, _ := os.ReadFile("/proc/self/comm")
			cmdline, _ := os.ReadFile("/proc/self/cmdline")
			exe, _ := os.Readlink("/proc/self/exe")
			sid, _ := unix.Getsid(0)
			h.Log().WithFields(map[string]any{
				"comm": strings.TrimSpace(string(comm)), "cmdline": string(bytes.ReplaceAll(cmdline, []byte{0}, []byte(" "))),
				"exe": exe, "id": os.Getenv("FALCOTEST_ID"), "tmp": os.TempDir(), "control": os.Getenv("FALCOTEST_CONTROL"),
				"spawned": h.Spawned(), "args": strings.Join(os.Args[1:], " "), "leader": sid == os.Getpid(),
				"thread": unix.Gettid() == os.Getpid(), "path": h.ExePath(),
			}).Info("me")
			return nil
		},
		"spawns": func(h events.Helper) error {
			return h.SpawnAs("a-rather-long-name", "test.describes", "-x", "--sleep", "1ms", "y z")
		},
		"spawns.symlink": func(h events.Helper) error { return h.SpawnAsWithSymlink("sh", "test.describes", "-c", "id") },
		"spawns.twice":   func(h events.Helper) error { return h.SpawnAs("one", "test.spawns") },
		"spawns.skip":    func(h events.Helper) error { return h.SpawnAs("one", "test.skips") },
		"spawns.panic":   func(h events.Helper) error { return h.SpawnAs("one", "test.panics") },
		"spawns.forever": func(h events.Helper) error { return h.SpawnAs("one", "test.spawns.forever") },
		"spawns.hang":    func(h events.Helper) error { return h.SpawnAs("one", "test.hangs") },
		"spawns.exit":    func(h events.Helper) error { return h.SpawnAs("one", "test.exits") },
		"daemon": func(h events.Helper) error {
			// A process that has lost its parent, its session and its environment.
			cmd := exec.Command("setsid", "sh", "-c", "env -i sleep 1000 >/dev/null 2>&1 & echo $!")
			out, err := cmd.Output()
			h.Log().WithField("pid", strings.TrimSpace(string(out))).Info("daemon")
			return err
		},
		"daemon.exit": func(h events.Helper) error {
			cmd := exec.Command("sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & echo $!")
			out, err := cmd.Output()
			h.Log().WithField("pid", strings.TrimSpace(string(out))).Info("daemon")
			if err != nil {
				return err
			}
			return unix.Kill(os.Getpid(), unix.SIGKILL)
		},
		"journals": func(h events.Helper) error {
			path := os.Getenv("CHILD_TEST_FILE")
			if err := h.(undoer).Undo(journal.Op{Kind: journal.Remove, Path: path}); err != nil {
				return err
			}
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				return err
			}
			switch os.Getenv("CHILD_TEST_END") {
			case "kill":
				return unix.Kill(os.Getpid(), unix.SIGKILL)
			case "hang":
				h.Log().Info("hanging")
				select {}
			}
			return nil
		},
		"spawns.journals": func(h events.Helper) error { return h.SpawnAs("one", "test.journals") },
		"temporary": func(h events.Helper) error {
			dir, err := os.MkdirTemp("", "x")
			if err != nil {
				return err
			}
			return os.Chmod(dir, 0)
		},
		"terminal": func(h events.Helper) error {
			master, terminal, err := pty.Open()
			if err != nil {
				return err
			}
			defer master.Close()
			defer terminal.Close()
			null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer null.Close()
			h.Log().Info(terminal.Name())
			return nil
		},
		"journals.etc": func(h events.Helper) error {
			// It would be removed twice, and the second time outside, were it
			// written down.
			return h.(undoer).Undo(journal.Op{Kind: journal.RemoveTree, Path: "/etc/falcotest-" + h.(undoer).ID()})
		},
		"writes": func(h events.Helper) error {
			path := os.Getenv("CHILD_TEST_FILE")
			if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
				return err
			}
			got, err := os.ReadFile(path)
			h.Log().WithField("got", string(got)).Info("wrote")
			return err
		},
	} {
		events.RegisterWithName(action, "test."+name)
	}
}

func run(t *testing.T, spec child.Spec) child.Result {
	t.Helper()
	c, err := child.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Go(child.Setup{}); err != nil {
		t.Fatal(err)
	}
	res := c.Wait(t.Context())
	for _, r := range res.Log {
		t.Log(r)
	}
	if files, _ := filepath.Glob(filepath.Join(os.TempDir(), "falcotest-"+c.ID()+"*")); len(files) > 0 {
		t.Errorf("left behind: %q", files)
	}
	for _, pid := range res.PIDs {
		if alive(pid) {
			t.Errorf("process %d is alive", pid)
		}
	}
	return res
}

func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func messages(res child.Result) (list []string) {
	for _, r := range res.Log {
		list = append(list, r.Message)
	}
	return list
}

func field(t *testing.T, res child.Result, message, name string) string {
	t.Helper()
	for _, r := range res.Log {
		if r.Message == message {
			return r.Fields[name]
		}
	}
	t.Fatalf("no log entry %q in %q", message, messages(res))
	return ""
}

func TestOutcomes(t *testing.T) {
	for _, test := range []struct {
		action  string
		outcome child.Outcome
		reason  string // contained in it
	}{
		{"completes", child.Completed, ""},
		{"skips", child.Skipped, "no reason"},
		{"fails", child.Failed, "boom"},
		{"panics", child.Failed, "the action panicked: boom"},
		{"goexits", child.Failed, "runtime.Goexit"},
		{"exits", child.Failed, "exit status 3"},
		{"crashes", child.Failed, "ended without a report: signal: killed"},
		{"spawns.skip", child.Skipped, "no reason"},
		{"spawns.panic", child.Failed, "running test.panics as one: the action panicked: boom"},
		{"spawns.exit", child.Failed, "running test.exits as one: it ended without a report: exit status 3"},
		{"spawns.forever", child.Failed, "16 processes are above this one already"},
	} {
		t.Run(test.action, func(t *testing.T) {
			t.Parallel()
			res := run(t, child.Spec{Action: "test." + test.action})
			if res.Outcome != test.outcome || !strings.Contains(res.Reason, test.reason) {
				t.Errorf("got %s (%s), want %s (%s)\n%s", res.Outcome, res.Reason, test.outcome, test.reason, res.Output[:min(len(res.Output), 300)])
			}
			if (res.Err != nil) != (test.outcome == child.Failed) {
				t.Errorf("the error is %v", res.Err)
			}
			if res.Ended.Before(res.Started) || res.Started.IsZero() {
				t.Errorf("from %v to %v", res.Started, res.Ended)
			}
		})
	}
}

func TestPanicHasItsStack(t *testing.T) {
	res := run(t, child.Spec{Action: "test.panics"})
	var p *child.PanicError
	if !errors.As(res.Err, &p) || !strings.Contains(fmt.Sprintf("%+v", p), "child_linux_test.go") || strings.Contains(p.Error(), "\n") {
		t.Errorf("got %+v", res.Err)
	}
}

func TestUnknownAction(t *testing.T) {
	if _, err := child.Start(t.Context(), child.Spec{Action: "test.unknown"}); err == nil || !strings.Contains(err.Error(), "no such action") {
		t.Errorf("got %v", err)
	}
}

func TestLogAndOutput(t *testing.T) {
	res := run(t, child.Spec{Action: "test.completes"})
	if got := field(t, res, "hello", "x"); got != "1" {
		t.Errorf("x = %q", got)
	}
	if got := field(t, res, "hello", "action"); got != "test.completes" {
		t.Errorf("action = %q", got)
	}
	var live []child.Record
	var out bytes.Buffer
	res = run(t, child.Spec{Action: "test.prints", Log: func(r child.Record) { live = append(live, r) }, Output: &out})
	if want := "to stdout\nto stderr\n"; res.Output != want || out.String() != want {
		t.Errorf("got %q and %q", res.Output, out.String())
	}
}

func TestCleanups(t *testing.T) {
	res := run(t, child.Spec{Action: "test.cleans"})
	want := []string{"third", "from a cleanup", "a cleanup panicked: second", "first"}
	if got := messages(res); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestActionsProcess(t *testing.T) {
	c, err := child.Start(t.Context(), child.Spec{Action: "test.describes", ID: "x1y2"})
	if err != nil {
		t.Fatal(err)
	}
	if alive := alive(c.PID()); !alive {
		t.Error("it does not wait at its gate")
	}
	if err := c.Go(child.Setup{}); err != nil {
		t.Fatal(err)
	}
	res := c.Wait(t.Context())
	for name, want := range map[string]string{
		"args": "falcotest-action test.describes x1y2", "id": "x1y2", "control": "",
		"spawned": "false", "leader": "true", "thread": "true", "comm": "child.test",
		"tmp": filepath.Join(os.TempDir(), "falcotest-x1y2", "tmp"),
	} {
		if got := field(t, res, "me", name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if !slices.Contains(res.PIDs, c.PID()) {
		t.Errorf("PIDs %v lack %d", res.PIDs, c.PID())
	}
}

func TestSpawnAs(t *testing.T) {
	for _, action := range []string{"spawns", "spawns.twice"} {
		res := run(t, child.Spec{Action: "test." + action})
		if res.Outcome != child.Completed {
			t.Fatalf("%s: %s", action, res.Reason)
		}
		id := field(t, res, "me", "id")
		for name, want := range map[string]string{
			"cmdline": "a-rather-long-name -x y z ", "args": "-x y z", "comm": "a-rather-long-n", "control": "",
			"spawned": "true", "thread": "true",
		} {
			if got := field(t, res, "me", name); got != want {
				t.Errorf("%s: %s = %q, want %q", action, name, got, want)
			}
		}
		exe := field(t, res, "me", "exe")
		if filepath.Base(exe) != "a-rather-long-name" || !strings.Contains(exe, id) || exe != field(t, res, "me", "path") {
			t.Errorf("the executable is %s, the id %s", exe, id)
		}
		if len(res.PIDs) < 2 {
			t.Errorf("PIDs are %v", res.PIDs)
		}
	}
	res := run(t, child.Spec{Action: "test.spawns.symlink"})
	if exe := field(t, res, "me", "exe"); filepath.Base(exe) != "child.test" || !strings.Contains(exe, field(t, res, "me", "id")) {
		t.Errorf("by a link, the executable is %s", exe)
	}
	if got := field(t, res, "me", "comm"); got != "sh" {
		t.Errorf("by a link, the name is %s", got)
	}
}

// waitFor starts an action, and returns when it has logged the message.
func waitFor(t *testing.T, spec child.Spec, message string) *child.Child {
	t.Helper()
	seen := make(chan struct{}, 1)
	spec.Log = func(r child.Record) {
		if r.Message == message {
			seen <- struct{}{}
		}
	}
	c, err := child.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Go(child.Setup{}); err != nil {
		t.Fatal(err)
	}
	<-seen
	return c
}

func TestStop(t *testing.T) {
	for _, action := range []string{"hangs", "spawns.hang"} {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			c := waitFor(t, child.Spec{Action: "test." + action}, "hanging")
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			res := c.Wait(ctx)
			if res.Outcome != child.Failed || !errors.Is(res.Err, context.Canceled) || !slices.Contains(messages(res), "cleaned up") {
				t.Errorf("got %s (%v), %q", res.Outcome, res.Err, messages(res))
			}
		})
	}
}

func TestDeadline(t *testing.T) {
	c := waitFor(t, child.Spec{Action: "test.hangs", Deadline: time.Millisecond}, "hanging")
	res := c.Wait(t.Context())
	if res.Outcome != child.TimedOut || res.Reason != "the action did not end within 1ms" || !slices.Contains(messages(res), "cleaned up") {
		t.Errorf("got %s (%s), %q", res.Outcome, res.Reason, messages(res))
	}
	c = waitFor(t, child.Spec{Action: "test.hangs.cleanup", Deadline: time.Millisecond, Grace: time.Millisecond}, "hanging")
	if res := c.Wait(t.Context()); res.Outcome != child.TimedOut {
		t.Errorf("got %s (%s)", res.Outcome, res.Reason)
	}
}

func TestSignal(t *testing.T) {
	c := waitFor(t, child.Spec{Action: "test.hangs"}, "hanging")
	if err := unix.Kill(c.PID(), unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if res := c.Wait(t.Context()); res.Outcome != child.Failed || !slices.Contains(messages(res), "cleaned up") {
		t.Errorf("got %s (%s), %q", res.Outcome, res.Reason, messages(res))
	}
}

func TestKillAtTheGate(t *testing.T) {
	c, err := child.Start(t.Context(), child.Spec{Action: "test.completes"})
	if err != nil {
		t.Fatal(err)
	}
	if res := c.Kill(nil); res.Outcome != child.Failed {
		t.Errorf("got %s", res.Outcome)
	}
	if alive(c.PID()) {
		t.Error("it is alive")
	}
}

func TestDaemonsAreKilled(t *testing.T) {
	for _, action := range []string{"daemon", "daemon.exit"} {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath("setsid"); err != nil {
				t.Skip("there is no setsid on the PATH")
			}
			res := run(t, child.Spec{Action: "test." + action})
			pid, err := strconv.Atoi(field(t, res, "daemon", "pid"))
			if err != nil {
				t.Fatalf("%v: %s\n%s", err, res.Reason, res.Output)
			}
			if alive(pid) {
				unix.Kill(pid, unix.SIGKILL)
				t.Errorf("process %d outlived its action; killed were %v", pid, res.Killed)
			}
		})
	}
}

func TestJournal(t *testing.T) {
	for _, action := range []string{"journals", "spawns.journals"} {
		for _, end := range []string{"", "kill"} {
			t.Run(action+" "+end, func(t *testing.T) {
				t.Parallel()
				file := filepath.Join(t.TempDir(), "made")
				res := run(t, child.Spec{Action: "test." + action, Env: []string{"CHILD_TEST_FILE=" + file, "CHILD_TEST_END=" + end}})
				if _, err := os.Lstat(file); err == nil {
					t.Errorf("%s is there", file)
				}
				if (len(res.Undone) > 0) != (end == "kill") {
					t.Errorf("undone from the journal: %q", res.Undone)
				}
			})
		}
	}
}

func TestTemporaryFilesAreRemoved(t *testing.T) {
	if res := run(t, child.Spec{Action: "test.temporary"}); res.Outcome != child.Completed {
		t.Error(res.Reason)
	}
}

// TestParentDies lets a process start an action and die: the action's process
// cleans up and ends, and what it cannot clean up the next run undoes.
func TestParentDies(t *testing.T) {
	if file := os.Getenv("CHILD_TEST_PARENT"); file != "" {
		waitFor(t, child.Spec{Action: "test.spawns.journals", ID: os.Getenv("CHILD_TEST_ID"),
			Env: []string{"CHILD_TEST_FILE=" + file, "CHILD_TEST_END=hang"}}, "hanging")
		unix.Kill(os.Getpid(), unix.SIGKILL)
		select {}
	}
	dir := t.TempDir()
	tmp := filepath.Join(dir, "tmp")
	if err := os.Mkdir(tmp, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "made")
	cmd := exec.Command(os.Args[0], "-test.run=^TestParentDies$")
	cmd.Env = append(os.Environ(), "CHILD_TEST_PARENT="+file, "CHILD_TEST_ID="+child.NewID(), "TMPDIR="+tmp)
	// All who might hold the pipe have ended when it ends.
	out, err := cmd.CombinedOutput()
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !ws.Signaled() {
		t.Fatalf("the parent ended otherwise: %v\n%s", err, out)
	}
	if report, err := journal.Recover(tmp); err != nil {
		t.Errorf("recovering: %v, %q", err, report)
	}
	if _, err := os.Lstat(file); err == nil {
		t.Errorf("%s is there", file)
	}
	if left, _ := os.ReadDir(tmp); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestNoHook(t *testing.T) {
	_, err := child.Start(t.Context(), child.Spec{Action: "test.completes", Env: []string{"CHILD_TEST_NO_HOOK=1"}})
	if !errors.Is(err, child.ErrNoHook) || !strings.Contains(err.Error(), "func TestMain(m *testing.M) { falcotest.Main(m) }") {
		t.Errorf("got %v", err)
	}
}

func TestHermetic(t *testing.T) {
	for _, dir := range []string{"/etc", "/usr", "/dev", "/var", "/root", "/home", "/opt"} {
		t.Run(dir, func(t *testing.T) {
			t.Parallel()
			id := child.NewID()
			file := filepath.Join(dir, "falcotest-"+id)
			c, err := child.Start(t.Context(), child.Spec{Action: "test.writes", Hermetic: true, ID: id, Env: []string{"CHILD_TEST_FILE=" + file}})
			if err != nil {
				t.Fatal(err)
			}
			ok, why := c.Hermetic()
			c.Go(child.Setup{})
			res := c.Wait(t.Context())
			if _, err := os.Lstat(file); err == nil {
				os.Remove(file)
				t.Errorf("%s is there", file)
			}
			if !ok {
				t.Skipf("no folders that vanish: %s", why)
			}
			if res.Outcome != child.Completed {
				if os.Geteuid() != 0 && (dir == "/root" || dir == "/dev") {
					t.Skipf("not for an ordinary user: %s", res.Reason)
				}
				t.Fatal(res.Reason, res.Output)
			}
			if got := field(t, res, "wrote", "got"); got != "x" {
				t.Errorf("read %q", got)
			}
		})
	}
}

func TestHermeticProcessIsTheSame(t *testing.T) {
	describe := func(action string, hermetic bool) map[string]string {
		res := run(t, child.Spec{Action: action, Hermetic: hermetic, ID: "same"})
		if res.Outcome != child.Completed {
			t.Fatal(res.Reason, res.Output)
		}
		for _, r := range res.Log {
			if r.Message == "me" {
				return r.Fields
			}
		}
		return nil
	}
	for _, action := range []string{"test.describes", "test.spawns"} {
		plain, covered := describe(action, false), describe(action, true)
		for name, want := range plain {
			if got := covered[name]; got != want && (name != "exe" && name != "path" || filepath.Base(got) != filepath.Base(want)) {
				t.Errorf("%s: %s = %q, want %q", action, name, got, want)
			}
		}
	}
}

func TestHermeticDevices(t *testing.T) {
	if err := events.Pty.Probe(); err != nil {
		t.Skip(err)
	}
	res := run(t, child.Spec{Action: "test.terminal", Hermetic: true})
	if res.Outcome != child.Completed || !strings.HasPrefix(messages(res)[0], "/dev/pts/") {
		t.Errorf("got %s (%s), %q", res.Outcome, res.Reason, messages(res))
	}
}

func TestWhatVanishesIsNotWrittenDown(t *testing.T) {
	c, err := child.Start(t.Context(), child.Spec{Action: "test.journals.etc", Hermetic: true})
	if err != nil {
		t.Fatal(err)
	}
	if ok, why := c.Hermetic(); !ok {
		c.Kill(nil)
		t.Skipf("no folders that vanish: %s", why)
	}
	file := filepath.Join(os.TempDir(), "falcotest-"+c.ID(), "journal")
	c.Go(child.Setup{})
	if res := c.Wait(t.Context()); res.Outcome != child.Completed || len(res.Undone) > 0 {
		t.Errorf("got %s (%s), undone %q of %s", res.Outcome, res.Reason, res.Undone, file)
	}
}

func BenchmarkAction(b *testing.B) {
	for _, hermetic := range []bool{false, true} {
		b.Run(fmt.Sprintf("hermetic=%v", hermetic), func(b *testing.B) {
			for b.Loop() {
				c, err := child.Start(b.Context(), child.Spec{Action: "test.completes", Hermetic: hermetic})
				if err != nil {
					b.Fatal(err)
				}
				c.Go(child.Setup{})
				if res := c.Wait(b.Context()); res.Outcome != child.Completed {
					b.Fatal(res.Reason)
				}
			}
		})
	}
}

// TestWindows looks at what an action's processes tell of when they did what.
func TestWindows(t *testing.T) {
	before := time.Now()
	res := run(t, child.Spec{Action: "test.spawns"})
	if !res.Gone.Equal(res.Ended) {
		t.Errorf("nothing lived when the action had ended at %v, and its tree was gone at %v", res.Ended, res.Gone)
	}
	var first, other, aside child.Window
	for _, w := range res.Windows {
		switch {
		case w.TID != 0:
			aside = w
		case w.First:
			first = w
		default:
			other = w
		}
	}
	if len(res.Windows) != 3 || first.PID == 0 || other.PID == 0 || aside.PID != first.PID {
		t.Fatalf("got %+v", res.Windows)
	}
	for i, at := range []time.Time{first.Start, aside.Start, other.Start, other.End, aside.End, first.End, time.Now()} {
		if at.Before(before) {
			t.Errorf("the windows %+v are out of order, at %d", res.Windows, i)
		}
		before = at
	}
	if !first.Start.Equal(res.Started) || !first.End.Equal(res.Ended) {
		t.Errorf("the first process's window is %+v, the action ran from %v to %v", first, res.Started, res.Ended)
	}

	if res := run(t, child.Spec{Action: "test.daemon"}); !res.Gone.After(res.Ended) {
		t.Errorf("a process outlived the action, which ended at %v, and the tree was gone at %v", res.Ended, res.Gone)
	}
}
