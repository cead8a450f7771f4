// SPDX-License-Identifier: Apache-2.0

package child_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/falcotest/go-falcotest/internal/child"
)

func TestMain(m *testing.M) {
	if os.Getenv("CHILD_TEST_NO_HOOK") == "" {
		child.Main()
	}
	leaveOthersMounts()
	before := inventory()
	code := m.Run()
	for what := range inventory() {
		if !before[what] && code == 0 {
			fmt.Fprintln(os.Stderr, "left behind:", what)
			code = 1
		}
	}
	os.Exit(code)
}

// inventory lists what tests must not leave behind: temporary files, mounts,
// descriptors and child processes.
func inventory() map[string]bool {
	have := map[string]bool{}
	files, _ := filepath.Glob(filepath.Join(os.TempDir(), "falcotest-*"))
	if runtime.GOOS == "linux" {
		// Other tests on this machine make such directories at the same time.
		files = nil
		mounts, _ := os.ReadFile("/proc/self/mounts")
		for line := range strings.Lines(string(mounts)) {
			have["mount "+line] = true
		}
		fds, _ := filepath.Glob("/proc/self/fd/*")
		for _, fd := range fds {
			if target, err := os.Readlink(fd); err == nil && !strings.HasPrefix(target, "anon_inode:") && !strings.HasPrefix(target, "/proc/") {
				have["descriptor "+target] = true
			}
		}
		tasks, _ := filepath.Glob("/proc/self/task/*/children")
		for _, task := range tasks {
			children, _ := os.ReadFile(task)
			for _, pid := range strings.Fields(string(children)) {
				have["process "+pid] = true
			}
		}
	}
	for _, file := range files {
		have["file "+file] = true
	}
	return have
}
