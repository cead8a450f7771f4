// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/falcotest"
)

// TestNothingIsLeft runs every action three times, several at a time, and kills
// some of them at a random moment: the machine must be as it was before.
func TestNothingIsLeft(t *testing.T) {
	if testing.Short() {
		t.Skip("runs every action three times")
	}
	s := falcotest.Start(t, strictest(t).option(), falcotest.WithDisabledActions())
	before := machine(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var wg sync.WaitGroup
	limit := make(chan struct{}, 8)
	for round := range 3 {
		for _, name := range actionNames() {
			// In the first round, all run to their end.
			life := time.Minute
			if round > 0 {
				life = time.Duration(random.Int64N(int64(300 * time.Millisecond)))
			}
			wg.Go(func() {
				limit <- struct{}{}
				defer func() { <-limit }()
				ctx, cancel := context.WithTimeout(t.Context(), life)
				defer cancel()
				s.Do(ctx, name)
			})
		}
	}
	wg.Wait()
	if diff := cmp.Diff(before, machine(t)); diff != "" {
		t.Errorf("the actions left traces (-before +after):\n%s", diff)
	}
}

// unchanged are the folders in which nothing at all may change. Others change
// by themselves on a machine in use; there, and everywhere, nothing may be left
// that carries the project's name, as all that actions make does.
var (
	unchanged = []string{"/etc", "/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/lib",
		"/lib", "/lib64", "/boot", "/var/lib/rpm", "/var/spool/cron"}
	named = []string{"/", "/root", "/home", "/dev", "/dev/shm", "/var/log", "/var/tmp", os.TempDir(), "/opt", "/host"}
)

// actionID matches the names that a run of an action makes of its id.
var actionID = regexp.MustCompile(`falcotest-ft[a-z2-7]{14}`)

// parent returns the parent of the process with that directory in /proc.
func parent(process string) string {
	for line := range lines(filepath.Join(process, "status")) {
		if pid, ok := strings.CutPrefix(line, "PPid:"); ok {
			return strings.TrimSpace(pid)
		}
	}
	return ""
}

// machine describes what actions might change, by name.
func machine(t *testing.T) map[string]string {
	t.Helper()
	m := map[string]string{}
	for _, dir := range unchanged {
		filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil // not there, or not for this user to see
			}
			m["file "+path] = describe(path)
			return nil
		})
	}
	for _, dir := range named {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if strings.Contains(e.Name(), "falcotest") && !ours(filepath.Join(dir, e.Name())) {
				m["file "+filepath.Join(dir, e.Name())] = "left"
			}
		}
	}
	for _, file := range []string{"/proc/self/mountinfo", "/proc/1/mountinfo", "/proc/net/unix"} {
		for line := range lines(file) {
			if actionID.MatchString(line) {
				m[file+" "+line] = "left"
			}
		}
	}
	for line := range lines("/proc/modules") {
		name, _, _ := strings.Cut(line, " ")
		m["module "+name] = "loaded"
	}
	for _, dir := range []string{"/sys/class/net", "/sys/fs/cgroup"} {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			m[dir+"/"+e.Name()] = "there"
		}
	}
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	executables, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, link := range executables {
		exe, err := os.Readlink(link)
		orphan := err == nil && actionID.MatchString(exe) && parent(filepath.Dir(link)) == "1"
		if link != fmt.Sprintf("/proc/%d/exe", os.Getpid()) && (exe == own || orphan) {
			m["process "+link] = exe
		}
	}
	return m
}

// ours tells whether a temporary folder, or the lock of a turn at a Falco, is one
// that lives as long as this test does, or belongs to a run beside it: it has a
// process.
func ours(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return true // gone meanwhile
	}
	if !info.IsDir() {
		return strings.HasPrefix(filepath.Base(path), "falcotest-turn-") && held(path)
	}
	journal := filepath.Join(path, "journal")
	if _, err := os.Stat(journal); err != nil {
		return true // no action's folder
	}
	return held(journal)
}

// held tells whether a process holds a lock on a file, or the file is gone.
func held(file string) bool {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return true
	}
	defer f.Close()
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return true
	}
	unix.Flock(int(f.Fd()), unix.LOCK_UN)
	return false
}

func lines(file string) func(func(string) bool) {
	b, _ := os.ReadFile(file)
	return strings.Lines(string(b))
}

// describe tells a file's mode, owner, size, and content or, where it is large,
// the time of its last change, and its capabilities.
func describe(path string) string {
	var st unix.Stat_t
	if unix.Lstat(path, &st) != nil {
		return "unknown"
	}
	text := fmt.Sprintf("%o %d:%d", st.Mode, st.Uid, st.Gid)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		target, _ := os.Readlink(path)
		return text + " -> " + target
	case unix.S_IFREG:
		capabilities := make([]byte, 64)
		if n, err := unix.Lgetxattr(path, "security.capability", capabilities); err == nil {
			text += fmt.Sprintf(" cap %x", capabilities[:n])
		}
		text += fmt.Sprintf(" links %d", st.Nlink)
		if st.Size > 1<<16 {
			return text + fmt.Sprintf(" size %d changed %d.%d", st.Size, st.Mtim.Sec, st.Mtim.Nsec)
		}
		b, _ := os.ReadFile(path)
		return text + fmt.Sprintf(" sha256 %x", sha256.Sum256(b))
	}
	return text
}
