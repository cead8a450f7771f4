// SPDX-License-Identifier: Apache-2.0

package child

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"

	"github.com/falcotest/go-falcotest/internal/child/inside"
	"github.com/falcotest/go-falcotest/internal/journal"
)

// reaper is this process's, while someone needs it.
var reaper struct {
	mu    sync.Mutex
	users int
	cmd   *exec.Cmd
	in    io.WriteCloser
}

// Reap has a process of its own undo what this one leaves, should this one die
// before it could: what is in the journals, containers, and processes of actions.
// It ends with the last call of what Reap returns. It is this executable, which
// waits before most of its packages are initialised.
func Reap() (enough func(), err error) {
	if runtime.GOOS != "linux" || Hooked() != nil {
		return func() {}, nil // no action runs
	}
	reaper.mu.Lock()
	defer reaper.mu.Unlock()
	if reaper.users == 0 {
		if err := startReaper(); err != nil {
			return nil, fmt.Errorf("starting the process that cleans up after a killed run: %w", err)
		}
	}
	reaper.users++
	return sync.OnceFunc(func() {
		reaper.mu.Lock()
		defer reaper.mu.Unlock()
		if reaper.users--; reaper.users == 0 {
			removeCopy()
			endReaper()
		}
	}), nil
}

func startReaper() error {
	exe, err := executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(exe)
	cmd.Dir = "/"
	cmd.Env = append(inside.Inherited(os.Environ()), inside.Environ(inside.Reaper, "")...)
	newSession(cmd) // what kills this process's group leaves it alone
	// Whoever reads this process's output waits for no other to close it.
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return err
	}
	reaper.cmd, reaper.in = cmd, in
	return nil
}

// endReaper tells it that there is nothing to do, and waits for its end.
func endReaper() {
	_, _ = reaper.in.Write([]byte{'.'}) // it may have been killed
	reaper.in.Close()
	kill := time.AfterFunc(DefaultGrace, func() { reaper.cmd.Process.Kill() })
	defer kill.Stop()
	_ = reaper.cmd.Wait()
}

// reap undoes what the parent left, and never returns. What an action's process
// does when its parent is gone may take the grace.
func reap() {
	_, err := journal.Recover("") // what cannot be undone now, a later run reports
	if err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}
