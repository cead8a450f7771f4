// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/falcotest/go-falcotest/internal/event"
)

// A user whom a test made in the /etc that it has for itself has a name, and the
// machine's keep theirs.
func TestUserOfTheTestsOwn(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount")
	}
	passwd := filepath.Join(t.TempDir(), "passwd")
	if err := os.WriteFile(passwd, []byte("root:x:0:0::/root:/bin/sh\nclerk:x:58123:58123::/nonexistent:/bin/false\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", "mount --bind "+passwd+" /etc/passwd && echo ready && read -r _")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skipf("this machine lets nobody make a mount namespace: %v", err)
	}
	defer cmd.Wait()
	defer in.Close()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Skipf("this machine lets nobody mount: %q, %v", line, err)
	}
	w := New()
	p := &event.Process{PID: int64(cmd.Process.Pid)}
	if u, ok := w.User(p, 58123); !ok || u.Name != "clerk" {
		t.Errorf("the test's own user is %+v, %v", u, ok)
	}
	if u, ok := w.User(p, 0); !ok || u.Name != "root" {
		t.Errorf("root is %+v, %v", u, ok)
	}
	if u, ok := w.User(&event.Process{PID: int64(os.Getpid())}, 58123); ok {
		t.Errorf("outside, the number is %+v", u)
	}
}
