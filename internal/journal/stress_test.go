// SPDX-License-Identifier: Apache-2.0

//go:build unix

package journal

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// liveEnv makes a process of this test binary one that makes directories in the
// folder that it names, until it is killed.
const liveEnv = "JOURNAL_TEST_LIVE"

func TestMain(m *testing.M) {
	if parent := os.Getenv(liveEnv); parent != "" {
		fmt.Println("started")
		for i := 0; ; i++ {
			d, err := Create(parent, fmt.Sprintf("%d-%d", os.Getpid(), i))
			if err == nil {
				err = os.WriteFile(filepath.Join(d.Temp(), "file"), nil, 0o600)
			}
			if err == nil {
				_, err = d.Close()
			}
			if err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
		}
	}
	os.Exit(m.Run())
}

// TestBesideOtherRuns has many runs begin and end while others look for what
// killed ones left, and kills some. No living run loses anything, and of the
// dead nothing stays.
func TestBesideOtherRuns(t *testing.T) {
	parent := t.TempDir()
	runs := 200
	if testing.Short() {
		runs = 100
	}
	var others, recoverers sync.WaitGroup
	ended := make(chan struct{})
	for range 4 {
		recoverers.Go(func() {
			for {
				if _, err := Recover(parent); err != nil {
					t.Error(err)
				}
				select {
				case <-ended:
					return
				default:
				}
			}
		})
	}
	for k := range 4 {
		others.Go(func() {
			for i := range runs / 4 {
				if err := oneRun(parent, fmt.Sprintf("run-%d-%d", k, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 6 {
		others.Go(func() {
			if said := killed(t, parent); strings.TrimSpace(said) != "started" {
				t.Errorf("a run that was killed later said: %s", said)
			}
		})
	}
	others.Wait()
	close(ended)
	recoverers.Wait()
	if _, err := Recover(parent); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// oneRun is one run's use of its directory.
func oneRun(parent, id string) error {
	d, err := Create(parent, id)
	if err != nil {
		return fmt.Errorf("%s: %w", id, err)
	}
	file := filepath.Join(d.Temp(), "file")
	if err := os.WriteFile(file, []byte(id), 0o600); err != nil {
		return err
	}
	if err := d.Add(Op{ID: "1", Kind: Remove, Path: filepath.Join(parent, "none")}); err != nil {
		return err
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != id {
		return fmt.Errorf("%s: its file holds %q, %w", id, b, err)
	}
	undone, err := d.Close()
	if err == nil && len(undone) != 1 {
		err = fmt.Errorf("%s: it undid %d operations", id, len(undone))
	}
	return err
}

// killed runs a process that makes and removes directories and kills it in the
// middle; it returns what the process said.
func killed(t *testing.T, parent string) string {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), liveEnv+"="+parent)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Error(err)
		return ""
	}
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return ""
	}
	lines := bufio.NewScanner(out)
	lines.Scan()
	said := lines.Text()
	for range 3 {
		oneRun(parent, fmt.Sprintf("beside-%d", cmd.Process.Pid))
	}
	cmd.Process.Kill()
	for lines.Scan() {
		said += "\n" + lines.Text()
	}
	cmd.Wait()
	return said
}
