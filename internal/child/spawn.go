// SPDX-License-Identifier: Apache-2.0

package child

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/hermetic"
)

// maxDepth is how many processes of SpawnAs may be above one another. The
// longest chain of ancestors that an upstream rule looks at has eight.
const maxDepth = 16

// spawned is a process of SpawnAs, seen from the one that started it.
type spawned struct {
	conn  *conn
	ended chan struct{} // closed when it is gone
}

func (h *helper) SpawnAs(name string, action string, args ...string) error {
	return h.run.spawnAside(name, action, args, false)
}

func (h *helper) SpawnAsWithSymlink(name string, action string, args ...string) error {
	return h.run.spawnAside(name, action, args, true)
}

// spawnAside is spawn, of which only what the new process executes and does in
// its action is the action's doing.
func (r *run) spawnAside(name, action string, args []string, symlink bool) (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r.marks.Spawn(func() {
		start := time.Now()
		time.Sleep(r.guard)
		err = r.spawn(name, action, args, symlink)
		time.Sleep(r.guard)
		r.window(threadID(), start, time.Now())
	})
	return err
}

func (r *run) spawn(name, action string, args []string, symlink bool) (err error) {
	defer func() {
		var skip *events.ErrSkipped
		if err != nil && !errors.As(err, &skip) {
			err = fmt.Errorf("running %s as %s: %w", action, name, err)
		}
	}()
	if name == "" || name != filepath.Base(name) || name == "." || name == ".." {
		return fmt.Errorf("%q is not a file name", name)
	}
	if _, ok := events.All()[action]; !ok {
		return errors.New("no such action is registered")
	}
	if r.depth >= maxDepth {
		return fmt.Errorf("%d processes are above this one already", r.depth)
	}
	args, sleep, err := cutSleep(args)
	if err != nil {
		return err
	}

	// Another user, whom the child or its children may become, must be able
	// to execute it.
	dir := filepath.Join(os.TempDir(), strings.ToLower(rand.Text()[:10]))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("making a directory for the executable: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := openToAll(dir); err != nil {
		return fmt.Errorf("opening the executable's directory to every user: %w", err)
	}
	path := filepath.Join(dir, name)
	if err := place(dir, path, symlink); err != nil {
		return fmt.Errorf("placing the executable: %w", err)
	}

	cmd := exec.Command(path)
	cmd.Args = append([]string{name}, args...)
	cmd.Env = append(environment(os.Environ()), config.EnvID+"="+r.id, config.EnvControl+"="+controlSpawn)
	cmd.Env = append(cmd.Env, noCollector()...)
	cmd.Env = append(cmd.Env, hermetic.Environ()...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	s := &spawned{conn: newConn(stdout, stdin), ended: make(chan struct{})}
	r.mu.Lock()
	if r.broken != nil {
		r.mu.Unlock()
		return r.broken
	}
	r.spawned[s] = struct{}{}
	r.mu.Unlock()
	defer func() {
		close(s.ended)
		r.mu.Lock()
		delete(r.spawned, s)
		r.mu.Unlock()
	}()
	if err := cmd.Start(); err != nil {
		return err
	}
	r.conn.send(message{Type: typeSpawned, PID: cmd.Process.Pid})

	rep, before, err := s.converse(r, &goMessage{
		Action:    action,
		Marks:     r.marks,
		Guard:     r.guard,
		Sleep:     sleep,
		KubeFlags: r.kubeFlags,
		Depth:     r.depth + 1,
		LogLevel:  uint32(r.log.Logger.GetLevel()),
	})
	stdin.Close()
	ended := cmd.Wait()
	switch {
	case rep == nil && ended == nil:
		return fmt.Errorf("it ended without a report%s", before)
	case rep == nil:
		return fmt.Errorf("it ended without a report: %w%s", ended, before)
	case err != nil && err != io.EOF:
		return err
	}
	switch {
	case rep.Outcome == Completed:
		return nil
	case rep.Outcome == Skipped:
		return &events.ErrSkipped{Reason: rep.Text}
	case rep.Stack != "":
		return &PanicError{Value: rep.Text, Stack: rep.Stack}
	}
	return errors.New(rep.Text)
}

// converse lets the child go, hands on what it sends, and returns its report.
func (s *spawned) converse(r *run, setup *goMessage) (rep *report, before string, err error) {
	if _, before, err := s.conn.greet(); err != nil {
		return nil, "\n" + before, err
	}
	if err := s.conn.send(message{Type: typeGo, Go: setup}); err != nil {
		return nil, "", err
	}
	for {
		m, err := s.conn.receive()
		if err != nil {
			return rep, "", err
		}
		switch m.Type {
		case typeJournal:
			if m.Op != nil {
				ack := message{Type: typeAck, ID: m.Op.ID}
				if err := r.journal(*m.Op); err != nil {
					ack.Err = err.Error()
				}
				s.conn.send(ack) // when the child is gone, no one waits for it
			}
		case typeLog, typeDone, typeSpawned, typeWindow:
			r.conn.send(m)
		case typeReport:
			rep = m.Report
		}
	}
}

// cutSleep takes the pair --sleep D out of the arguments.
func cutSleep(args []string) (rest []string, d time.Duration, err error) {
	for i := 0; i < len(args); i++ {
		value, ok := strings.CutPrefix(args[i], "--sleep=")
		if args[i] == "--sleep" && i+1 < len(args) {
			i++
			value, ok = args[i], true
		}
		if !ok {
			rest = append(rest, args[i])
			continue
		}
		if d, err = time.ParseDuration(value); err != nil || d < 0 {
			return nil, 0, fmt.Errorf("--sleep needs a duration such as 500ms, not %q", value)
		}
	}
	return rest, d, nil
}

// place puts this executable at path, in a directory of its own.
func place(dir, path string, symlink bool) error {
	if !symlink {
		return copyExecutable(path)
	}
	// The target has a directory of its own, so that the two may have the same
	// name, and the id in its path, as the executables of SpawnAs have.
	own, err := os.Executable()
	if err != nil {
		own = arguments[0]
	}
	target := filepath.Join(dir, "target")
	if err := os.Mkdir(target, 0o755); err != nil {
		return err
	}
	target = filepath.Join(target, strings.TrimSuffix(filepath.Base(own), " (deleted)"))
	if err := copyExecutable(target); err != nil {
		return err
	}
	return os.Symlink(target, path)
}

// openToAll lets everyone read and execute a file, whatever the umask was. A
// real Falco sees it as the action's doing, so it is left out where it can be.
func openToAll(path string) error {
	info, err := os.Stat(path)
	if err != nil || info.Mode()&0o555 == 0o555 {
		return err
	}
	return os.Chmod(path, 0o755)
}

// copyByBytes is how an executable is copied where there are no links.
func copyByBytes(from *os.File, path string) (err error) {
	to, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if err := cloneFile(to, from); err != nil {
		_, err = io.Copy(to, from)
		if err != nil {
			to.Close()
			return err
		}
	}
	return to.Close()
}
