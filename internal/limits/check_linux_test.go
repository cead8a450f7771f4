// SPDX-License-Identifier: Apache-2.0

package limits

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// envCheck has this program set a limit, such as 7=64 (a resource, and how much
// of it), print what comes of its check, and end.
const envCheck = "LIMITS_TEST_CHECK"

func TestMain(m *testing.M) {
	if set := os.Getenv(envCheck); set != "" {
		var resource int
		var most uint64
		if _, err := fmt.Sscanf(set, "%d=%d", &resource, &most); err != nil {
			panic(err)
		}
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: most, Max: most}); err != nil {
			panic(err)
		}
		n, err := Check(8)
		fmt.Println(n, err)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestCheck(t *testing.T) {
	for _, test := range []struct {
		name     string
		resource int
		most     uint64
		user     bool   // as an ordinary user
		want     string // a regular expression
	}{
		{"many files", unix.RLIMIT_NOFILE, 1024, false, `^8 <nil>$`},
		{"some files", unix.RLIMIT_NOFILE, 64, false, `^[1-4] <nil>$`},
		{"few files", unix.RLIMIT_NOFILE, 20, false,
			`^0 this process may open 20 files \(ulimit -n\) and has \d+ open, and running actions takes at least 32: raise the limit, for example by ulimit -n 1024$`},
		{"much memory", unix.RLIMIT_AS, 4 << 30, false, `^8 <nil>$`},
		{"little memory", unix.RLIMIT_AS, 800 << 20, false, `^0 this process may have 800 MB of address space \(ulimit -v\), .* ulimit -v unlimited$`},
		{"few threads, as root", unix.RLIMIT_NPROC, 40, false, `^8 <nil>$`},
		{"few threads", unix.RLIMIT_NPROC, 40, true,
			`^0 user 65533 may have 40 processes and threads \(ulimit -u\) and has \d+, and running actions takes about 56 more: raise the limit, for example by ulimit -u 4096$`},
		{"many threads", unix.RLIMIT_NPROC, 4096, true, `^8 <nil>$`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if os.Getuid() != 0 && test.resource == unix.RLIMIT_NPROC {
				t.Skip("needs root")
			}
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = []string{fmt.Sprintf("%s=%d=%d", envCheck, test.resource, test.most)}
			if test.user {
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65533, Gid: 65533}}
			}
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if got := strings.TrimSpace(string(out)); !regexp.MustCompile(test.want).MatchString(got) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestTemp(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	if err := checkTemp(missing); err == nil || !strings.Contains(err.Error(), "cannot be written to: no such file or directory: set TMPDIR to another folder") {
		t.Errorf("got %v", err)
	}
	if err := checkTemp(t.TempDir()); err != nil {
		t.Error(err)
	}
	for _, test := range []struct {
		name, data string
		flags      uintptr
		want       string
	}{
		{"noexec", "size=1g", unix.MS_NOEXEC, "(it is mounted noexec), and actions run this executable there under other names: set TMPDIR to another folder"},
		{"full", "size=4k", 0, "is full: it has 0 MB left, and actions take up to "},
		{"full of names", "size=1g,nr_inodes=1", 0, "is full: it can hold no more files"},
		{"read-only", "", unix.MS_RDONLY, "cannot be written to: read-only file system: set TMPDIR to another folder"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			err := mounted(dir, test.flags, test.data, func() error { return checkTemp(dir) })
			if err == unix.EPERM {
				t.Skip("this user may mount nothing")
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// mounted calls f on a thread that has a tmpfs at dir, alone.
func mounted(dir string, flags uintptr, data string, f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine
		done <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
				return err
			}
			if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
				return err
			}
			if err := unix.Mount("none", dir, "tmpfs", flags, data); err != nil {
				return err
			}
			return f()
		}()
	}()
	return <-done
}
