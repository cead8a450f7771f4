// SPDX-License-Identifier: Apache-2.0

package falcotest_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/falcotest/go-falcotest/events"
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
