// SPDX-License-Identifier: Apache-2.0

//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package turns

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const endpoint = "unix:///run/falco/falco.sock"

// A test process that is told a folder takes the turn there, says so, and keeps
// it until its standard input ends.
func TestMain(m *testing.M) {
	if dir := os.Getenv("TURNS_TEST_DIR"); dir != "" {
		turn, err := Take(context.Background(), endpoint, Options{Dir: dir, Who: "example.org/holder"})
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

// holder starts a process that holds the turn, and returns how to end it.
func startHolder(t *testing.T, dir string) (pid int, release, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TURNS_TEST_DIR="+dir)
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

func TestWaitsForAnother(t *testing.T) {
	for _, how := range []string{"released", "killed"} {
		t.Run(how, func(t *testing.T) {
			dir := t.TempDir()
			pid, release, kill := startHolder(t, dir)
			waiting := make(chan string, 1)
			taken := make(chan *Turn, 1)
			go func() {
				turn, err := Take(context.Background(), endpoint, Options{Dir: dir, Patience: time.Millisecond, Logf: func(format string, args ...any) {
					waiting <- fmt.Sprintf(format, args...)
				}})
				if err != nil {
					t.Error(err)
				}
				taken <- turn
			}()
			if got, want := <-waiting, fmt.Sprintf(`waiting for %s, which "example.org/holder" (pid %d) uses`, endpoint, pid); got != want {
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
			mustBeEmpty(t, dir)
		})
	}
}

func mustBeEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestGivesUp(t *testing.T) {
	dir := t.TempDir()
	startHolder(t, dir)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := Take(ctx, endpoint, Options{Dir: dir})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "example.org/holder") {
		t.Errorf("got %v, want one that names the holder", err)
	}
	// Another endpoint is another's turn.
	turn, err := Take(t.Context(), endpoint+"2", Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	turn.Release()
}

// TestExcludes has many take turns; never two at once.
func TestExcludes(t *testing.T) {
	dir := t.TempDir()
	var inside, count atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				turn, err := Take(t.Context(), endpoint, Options{Dir: dir})
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
	mustBeEmpty(t, dir)
}

func TestForAllUsers(t *testing.T) {
	dir := t.TempDir()
	turn, err := Take(t.Context(), endpoint, Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer turn.Release()
	info, err := os.Stat(turn.path)
	if err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("mode %v, %v; want one that lets all users lock it", info.Mode(), err)
	}
}

func TestNoFolder(t *testing.T) {
	if _, err := Take(t.Context(), endpoint, Options{Dir: "/nonexistent"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		return // root may write everywhere
	}
	if _, err := Take(t.Context(), endpoint, Options{Dir: dir}); !errors.Is(err, os.ErrPermission) {
		t.Errorf("got %v", err)
	}
}
