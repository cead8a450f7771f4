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
