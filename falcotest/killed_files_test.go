// SPDX-License-Identifier: Apache-2.0

//go:build linux

package falcotest_test

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestFilesLeaveNothing runs the tests of files, kills such runs at random
// points, and looks for what they left.
func TestFilesLeaveNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	before := traces(t)
	for range 6 {
		after := time.Duration(50+rand.IntN(600)) * time.Millisecond
		ctx, cancel := context.WithTimeout(t.Context(), after)
		cmd := exec.CommandContext(ctx, exe, "-test.run=^TestFiles$") // killed by SIGKILL
		cmd.Run()
		cancel()
	}
	if out, err := exec.CommandContext(t.Context(), exe, "-test.run=^TestFiles$").CombinedOutput(); err != nil {
		t.Fatalf("a run after those that were killed: %v\n%s", err, out)
	}
	// The processes of a killed run end by themselves, and other runs on this
	// machine have some of the same names.
	deadline := time.Now().Add(30 * time.Second)
	for {
		left := slices.DeleteFunc(traces(t), func(trace string) bool { return slices.Contains(before, trace) })
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("left behind:", strings.Join(left, ", "))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// traces are what the tests in testdata/testfiles make while they run.
func traces(t *testing.T) (found []string) {
	t.Helper()
	for _, path := range []string{"/etc/ledger", "/opt/ledger", "/tmp/ledger-linked", "/tmp/ft-victim", "/var/lib/ft-notes"} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			found = append(found, path)
		}
	}
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(passwd), "\nclerk:") {
		found = append(found, "the user clerk")
	}
	names, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, name := range names {
		comm, err := os.ReadFile(name)
		if err == nil && slices.Contains([]string{"accountant", "ledgerd", "teller", "ghost", "victim"}, strings.TrimSpace(string(comm))) {
			found = append(found, "the process "+strings.TrimSpace(string(comm)))
		}
	}
	mounts, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(mounts)) {
		if strings.HasPrefix(line, "falcotest ") {
			found = append(found, "the mount "+line)
		}
	}
	return found
}
