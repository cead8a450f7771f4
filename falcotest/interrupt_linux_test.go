// SPDX-License-Identifier: Apache-2.0

package falcotest_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/changes"
)

// lingersFile names the file that the action makes, and removes as it cleans up.
const lingersFile = "LINGERS_FILE"

var _ = events.RegisterWithName(func(h events.Helper) error {
	file := os.Getenv(lingersFile)
	h.Cleanup(func() { os.Remove(file) }, "remove "+file)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return err
	}
	select {}
}, "fault.Lingers")

// However a run is ended, it cleans up before: by the signals of a terminal and
// of a CI system, and by go test's -timeout.
func TestEndedRunCleansUp(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		signal  syscall.Signal
		timeout string
		want    string
	}{
		{"SIGINT", syscall.SIGINT, "5m", "falcotest: interrupt: stopping the actions and cleaning up; once more ends this at once"},
		{"SIGTERM", syscall.SIGTERM, "5m", "falcotest: terminated: stopping the actions and cleaning up"},
		{"timeout", 0, "8s", "the action was stopped: go test's -timeout is near"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			rules, file, temp := filepath.Join(dir, "rules.yaml"), filepath.Join(dir, "file"), filepath.Join(dir, "tmp")
			const rule = "- rule: Lingers\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n"
			if err := os.WriteFile(rules, []byte(rule), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(temp, 0o700); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(exe, "-test.run=^TestRules$", "-test.timeout="+c.timeout)
			cmd.Env = append(os.Environ(), scripted+"=1", scriptedDeadline+"=10m", "FALCOTEST_RULES="+rules, "FALCOTEST_ACTIONS=fault.Lingers",
				"FALCOTEST_HERMETIC=0", "TMPDIR="+temp, lingersFile+"="+file)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			t.Cleanup(func() { cmd.Process.Kill() })
			if c.signal != 0 {
				for tick := time.Tick(10 * time.Millisecond); ; <-tick {
					if _, err := os.Stat(file); err == nil {
						break
					}
					select {
					case <-t.Context().Done():
						return
					case err := <-ended:
						t.Fatalf("it ended too early: %v\n%s", err, out.String())
					default:
					}
				}
				if err := cmd.Process.Signal(c.signal); err != nil {
					t.Fatal(err)
				}
			}
			<-ended
			if status := cmd.ProcessState.Sys().(syscall.WaitStatus); c.signal != 0 && status.Signal() != c.signal {
				t.Errorf("it ended with %v, want signal %v", cmd.ProcessState, c.signal)
			}
			if !strings.Contains(out.String(), c.want) || strings.Contains(out.String(), "panic: test timed out") {
				t.Errorf("it says\n%s\nwant %s", out.String(), c.want)
			}
			for _, pattern := range []string{file, filepath.Join(temp, "falcotest-*")} {
				if left, _ := filepath.Glob(pattern); len(left) > 0 {
					t.Errorf("left behind: %v", left)
				}
			}
		})
	}
}

// panicAt names the file whose appearance makes a goroutine of nobody's panic.
const panicAt = "PANIC_AT"

func init() {
	if file := os.Getenv(panicAt); file != "" {
		os.Unsetenv(panicAt) // for the processes that this one starts
		go func() {
			waitFor(func() bool { return exists(file) })
			panic("a stranger's")
		}()
	}
}

var _ = events.RegisterWithName(func(h events.Helper) error {
	file := os.Getenv(lingersFile)
	stubborn := exec.Command("/bin/sh", "-c", `trap "" HUP INT TERM; while :; do read line || sleep 1000; done`)
	if err := stubborn.Start(); err != nil {
		return err
	}
	if err := changes.CreateFile(h, file, nil, 0o600); err != nil {
		return err
	}
	pids := fmt.Sprint(os.Getpid(), " ", stubborn.Process.Pid)
	if err := os.WriteFile(file+".new", []byte(pids), 0o600); err != nil {
		return err
	}
	if err := os.Rename(file+".new", file); err != nil {
		return err
	}
	select {}
}, "fault.LeavesMuch")

func exists(file string) bool {
	_, err := os.Lstat(file)
	return err == nil
}

// waitFor asks again and again until it is so.
func waitFor(so func() bool) {
	for tick := time.Tick(10 * time.Millisecond); !so(); {
		<-tick
	}
}

// Nothing stays of a run that was killed, or died of a panic that is not an
// action's, though no other run follows.
func TestKilledRunIsCleanedUp(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name       string
		panics     bool
		withAction bool // the action's process is killed too
	}{
		{name: "killed"},
		{name: "killed with its action", withAction: true},
		{name: "panic", panics: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			rules, file, temp := filepath.Join(dir, "rules.yaml"), filepath.Join(dir, "file"), filepath.Join(dir, "tmp")
			const rule = "- rule: Leaves Much\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n"
			if err := os.WriteFile(rules, []byte(rule), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(temp, 0o700); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(exe, "-test.run=^TestRules$", "-test.timeout=5m")
			cmd.Env = append(os.Environ(), scripted+"=1", scriptedDeadline+"=10m", "FALCOTEST_RULES="+rules, "FALCOTEST_ACTIONS=fault.LeavesMuch",
				"FALCOTEST_HERMETIC=0", "TMPDIR="+temp, lingersFile+"="+file)
			if c.panics {
				cmd.Env = append(cmd.Env, panicAt+"="+file)
			}
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			go func() { cmd.Wait(); close(ended) }()
			t.Cleanup(func() { cmd.Process.Kill() })
			isOver := func() bool {
				select {
				case <-ended:
					return true
				default:
					return false
				}
			}
			var action, below int
			waitFor(func() bool {
				text, _ := os.ReadFile(file)
				n, _ := fmt.Sscan(string(text), &action, &below)
				return n == 2 || isOver()
			})
			if below == 0 && !c.panics {
				t.Fatalf("it ended too early:\n%s", out.String())
			}
			if !c.panics {
				cmd.Process.Kill()
			}
			if c.withAction {
				syscall.Kill(action, syscall.SIGKILL)
			}
			<-ended
			deadline := time.Now().Add(time.Minute)
			for {
				left, _ := filepath.Glob(filepath.Join(temp, "falcotest-*"))
				if exists(file) {
					left = append(left, file)
				}
				if below != 0 && exists(fmt.Sprintf("/proc/%d", below)) {
					left = append(left, fmt.Sprintf("process %d", below))
				}
				if len(left) == 0 {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("left behind: %v\n%s", left, out.String())
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
}
