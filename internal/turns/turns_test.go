// SPDX-License-Identifier: Apache-2.0

//go:build unix

package turns

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A test process that is told an endpoint takes its turn, says so, and keeps it
// until its standard input ends.
func TestMain(m *testing.M) {
	if endpoint := os.Getenv("TURNS_TEST_ENDPOINT"); endpoint != "" {
		opts := Options{Who: "example.org/holder", Folder: os.Getenv("TURNS_TEST_FOLDER")}
		if dir := os.Getenv("TURNS_TEST_DIR"); dir != "" {
			opts.places = []place{files{dir}}
		}
		turn, err := Take(context.Background(), endpoint, opts)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("taken")
		bufio.NewReader(os.Stdin).ReadString('\n')
		turn.Release()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// endpoint is one that no other test uses, on this whole machine.
func endpoint(t *testing.T) string {
	return "unix://" + t.TempDir() + "/falco.sock"
}

// startHolder starts a process that has the turn, in a folder for temporary
// files of its own, and returns how to end it.
func startHolder(t *testing.T, endpoint string, env ...string) (pid int, release, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TURNS_TEST_ENDPOINT="+endpoint, "TMPDIR="+t.TempDir())
	cmd.Env = append(cmd.Env, env...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "taken\n" {
		t.Fatalf("the holder says %q, %v", line, err)
	}
	end := sync.OnceFunc(func() { cmd.Wait() })
	t.Cleanup(func() { cmd.Process.Kill(); end() })
	return cmd.Process.Pid, func() { in.Close(); end() }, func() { cmd.Process.Kill(); end() }
}

// ways are the places where turns are taken, and what makes another process take
// them there.
func ways(t *testing.T) map[string]struct {
	opts Options
	env  []string
} {
	dir, folder := t.TempDir(), t.TempDir()
	return map[string]struct {
		opts Options
		env  []string
	}{
		"by default":  {},
		"by files":    {Options{places: []place{files{dir}}}, []string{"TURNS_TEST_DIR=" + dir}},
		"by a folder": {Options{places: []place{folders{folder}}}, []string{"TURNS_TEST_FOLDER=" + folder}},
	}
}

func TestWaitsForAnother(t *testing.T) {
	for name, way := range ways(t) {
		if name == "by a folder" && runtime.GOOS != "linux" {
			continue
		}
		for _, how := range []string{"released", "killed"} {
			t.Run(name+", "+how, func(t *testing.T) {
				endpoint := endpoint(t)
				pid, release, kill := startHolder(t, endpoint, way.env...)
				waiting := make(chan string, 1)
				taken := make(chan *Turn, 1)
				opts := way.opts
				opts.Patience = time.Millisecond
				opts.Logf = func(format string, args ...any) { waiting <- fmt.Sprintf(format, args...) }
				go func() {
					turn, err := Take(context.Background(), endpoint, opts)
					if err != nil {
						t.Error(err)
					}
					taken <- turn
				}()
				who := "another process"
				if name == "by default" && runtime.GOOS == "linux" {
					who = fmt.Sprintf(`"example.org/holder" (pid %d) uses`, pid)
				}
				if got, want := <-waiting, "waiting for "+endpoint+", which "+who; !strings.HasPrefix(got, want) {
					t.Errorf("it says %q, want %q", got, want)
				}
				select {
				case <-taken:
					t.Error("the turn was taken while another had it")
				default:
				}
				if how == "killed" {
					kill()
				} else {
					release()
				}
				(<-taken).Release()
			})
		}
	}
}

func TestGivesUp(t *testing.T) {
	for name, way := range ways(t) {
		if name == "by a folder" && runtime.GOOS != "linux" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			endpoint := endpoint(t)
			startHolder(t, endpoint, way.env...)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			if _, err := Take(ctx, endpoint, way.opts); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "uses") {
				t.Errorf("got %v, want one that names the holder", err)
			}
			if name == "by a folder" {
				return
			}
			// Another endpoint is another's turn.
			turn, err := Take(t.Context(), endpoint+"2", way.opts)
			if err != nil {
				t.Fatal(err)
			}
			turn.Release()
		})
	}
}

// TestExcludes has many take turns; never two at once, and no file stays.
func TestExcludes(t *testing.T) {
	dir := t.TempDir()
	for name, opts := range map[string]Options{"by default": {}, "by files": {places: []place{files{dir}}}} {
		t.Run(name, func(t *testing.T) {
			endpoint := endpoint(t)
			var inside, count atomic.Int32
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for range 5 {
						turn, err := Take(t.Context(), endpoint, opts)
						if err != nil {
							t.Error(err)
							return
						}
						if n := inside.Add(1); n != 1 {
							t.Errorf("%d at once", n)
						}
						inside.Add(-1)
						count.Add(1)
						turn.Release()
					}
				})
			}
			wg.Wait()
			if n := count.Load(); n != 40 {
				t.Errorf("%d turns, want 40", n)
			}
		})
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// Two endpoints in one folder can be had by one process at once.
func TestOneFolder(t *testing.T) {
	opts := Options{places: []place{folders{t.TempDir()}}}
	one, err1 := Take(t.Context(), "one", opts)
	two, err2 := Take(t.Context(), "two", opts)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	one.Release()
	two.Release()
	if len(locked.folders) != 0 {
		t.Errorf("still locked: %v", locked.folders)
	}
}

// What is in the way of a lock's file is told, and nothing is done to it.
func TestInTheWay(t *testing.T) {
	const content = "precious"
	for _, c := range []struct {
		name, want string
		put        func(path, other string) error
	}{
		{"directory", "is not the lock that falcotest makes there but a directory: see who made it, and remove it", func(path, _ string) error { return os.Mkdir(path, 0o755) }},
		{"link", "but a symbolic link", func(path, other string) error { return os.Symlink(other, path) }},
		{"hard link", "but a file that has other names, too", func(path, other string) error { return os.Link(other, path) }},
		{"pipe", "but no file", func(path, _ string) error { return unix.Mkfifo(path, 0o666) }},
		{"file with content", "", func(path, _ string) error { return os.WriteFile(path, []byte(content), 0o444) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			other := filepath.Join(dir, "other")
			path := filepath.Join(dir, "falcotest-turn-f3a8f4b7a1e9b1c5.lock")
			p := files{dir}
			if err := errors.Join(os.WriteFile(other, []byte(content), 0o644), c.put(path, other)); err != nil {
				t.Fatal(err)
			}
			before, _ := os.Lstat(path)
			release, err := p.try(strings.TrimSuffix(filepath.Base(path), ".lock"), "me")
			if c.want == "" && err == nil {
				if b, _ := os.ReadFile(path); string(b) != content {
					t.Errorf("it holds %q", b)
				}
				release()
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
			if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) || before.Mode() != after.Mode() {
				t.Errorf("it was changed: %v", err)
			}
			if b, _ := os.ReadFile(other); string(b) != content {
				t.Errorf("the other file holds %q", b)
			}
		})
	}
}

// Another user's lock excludes as well, and is left where it is.
func TestAnotherUsers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make another user's file")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "x.lock")
	if err := errors.Join(os.WriteFile(path, nil, 0o644), os.Chown(path, 65534, 65534), os.Chmod(dir, 0o777|os.ModeSticky)); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if release, err := (files{dir}).try("x", "me"); release != nil || err != nil {
		t.Errorf("got %v", err)
	}
}

func TestForAllUsers(t *testing.T) {
	dir := t.TempDir()
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	turn, err := Take(t.Context(), "x", Options{places: []place{files{dir}}})
	if err != nil {
		t.Fatal(err)
	}
	defer turn.Release()
	left, _ := os.ReadDir(dir)
	if len(left) != 1 {
		t.Fatal(left)
	}
	if info, err := left[0].Info(); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("mode %v, %v; want one that lets all users lock it", info.Mode(), err)
	}
}

func TestNoFolder(t *testing.T) {
	if _, err := Take(t.Context(), "x", Options{places: []place{files{"/nonexistent"}}}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	// A folder of an endpoint that this user may not read is done without.
	turn, err := Take(t.Context(), "x", Options{places: []place{folders{"/nonexistent"}}})
	if err != nil {
		t.Fatal(err)
	}
	turn.Release()
}

// A holder that is no test is told, with its user.
func TestDescribe(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there are no such sockets")
	}
	endpoint := endpoint(t)
	pid, _, _ := startHolder(t, endpoint)
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, errors.New("enough"))
	defer cancel()
	_, err := Take(ctx, endpoint, Options{})
	want := fmt.Sprintf(`^waiting for a turn at %s, which "example.org/holder" \(pid %d\) uses: enough$`, regexp.QuoteMeta(endpoint), pid)
	if err == nil || !regexp.MustCompile(want).MatchString(err.Error()) {
		t.Errorf("got %v, want %s", err, want)
	}
}
