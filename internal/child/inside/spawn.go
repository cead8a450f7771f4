// SPDX-License-Identifier: Apache-2.0

package inside

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/falcotest/go-falcotest/internal/child/protocol"
	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/hermetic"
)

// maxDepth is how many processes of SpawnAs may be above one another. The
// longest chain of ancestors that an upstream rule looks at has eight.
const maxDepth = 16

// spawned is a process of SpawnAs, seen from the one that started it.
type spawned struct {
	conn  *protocol.Conn
	ended chan struct{} // closed when it is gone
}

// Spawn runs a registered action in a process of this executable under another
// name, and waits for its end. Of that, only what the new process executes and does
// in its action is the action's doing.
func (p *Process) Spawn(name, action string, args []string, symlink bool) (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p.marks.Spawn(func() {
		start := time.Now()
		time.Sleep(p.guard)
		err = p.spawn(name, action, args, symlink)
		time.Sleep(p.guard)
		p.window(threadID(), start, time.Now())
	})
	return err
}

func (p *Process) spawn(name, action string, args []string, symlink bool) (err error) {
	defer func() {
		var skip *Skip
		if err != nil && !errors.As(err, &skip) {
			err = fmt.Errorf("running %s as %s: %w", action, name, err)
		}
	}()
	if name == "" || name != filepath.Base(name) || name == "." || name == ".." {
		return fmt.Errorf("%q is not a file name", name)
	}
	if p.depth >= maxDepth {
		return fmt.Errorf("%d processes are above this one already", p.depth)
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

	env := append(Inherited(os.Environ()), config.EnvID+"="+p.id)
	env = append(env, Environ(Spawned, "")...)
	env = append(env, hermetic.Environ()...)
	theirIn, stdin, err := os.Pipe()
	if err != nil {
		return err
	}
	defer theirIn.Close()
	defer stdin.Close()
	stdout, theirOut, err := os.Pipe()
	if err != nil {
		return err
	}
	defer stdout.Close()
	defer theirOut.Close()
	s := &spawned{conn: protocol.NewConn(stdout, stdin), ended: make(chan struct{})}
	p.mu.Lock()
	if p.broken != nil {
		p.mu.Unlock()
		return p.broken
	}
	p.spawned[s] = struct{}{}
	p.mu.Unlock()
	defer func() {
		close(s.ended)
		p.mu.Lock()
		delete(p.spawned, s)
		p.mu.Unlock()
	}()
	proc, err := os.StartProcess(path, append([]string{name}, args...), &os.ProcAttr{
		Env: env, Files: []*os.File{theirIn, theirOut, os.Stderr},
	})
	if err != nil {
		return err
	}
	theirIn.Close()
	theirOut.Close()
	p.Started(proc.Pid)

	rep, before, err := s.converse(p, &protocol.Setup{
		Action:    action,
		Marks:     p.marks,
		Guard:     p.guard,
		Sleep:     sleep,
		KubeFlags: p.kubeFlags,
		Depth:     p.depth + 1,
		LogLevel:  uint32(p.log.Logger.GetLevel()),
	})
	stdin.Close()
	ended, waited := proc.Wait()
	switch {
	case rep == nil && waited != nil:
		return fmt.Errorf("it ended without a report: %w%s", waited, before)
	case rep == nil && !ended.Success():
		return fmt.Errorf("it ended without a report: %s%s", ended, before)
	case rep == nil:
		return fmt.Errorf("it ended without a report%s", before)
	case err != nil && err != io.EOF:
		return err
	}
	switch {
	case rep.Outcome == protocol.Completed:
		return nil
	case rep.Outcome == protocol.Skipped:
		return &Skip{Reason: rep.Text}
	case rep.Stack != "":
		return &protocol.PanicError{Value: rep.Text, Stack: rep.Stack}
	}
	return errors.New(rep.Text)
}

// converse lets the child go, hands on what it sends, and returns its report.
func (s *spawned) converse(p *Process, setup *protocol.Setup) (rep *protocol.Report, before string, err error) {
	if _, before, err := s.conn.Greet(); err != nil {
		return nil, "\n" + before, err
	}
	if err := s.conn.Send(protocol.Message{Type: protocol.TypeGo, Go: setup}); err != nil {
		return nil, "", err
	}
	for {
		m, err := s.conn.Receive()
		if err != nil {
			return rep, "", err
		}
		switch m.Type {
		case protocol.TypeJournal:
			if m.Op != nil {
				ack := protocol.Message{Type: protocol.TypeAck, ID: m.Op.ID}
				if err := p.journal(*m.Op); err != nil {
					ack.Err = err.Error()
				}
				s.conn.Send(ack) // when the child is gone, no one waits for it
			}
		case protocol.TypeLog, protocol.TypeDone, protocol.TypeSpawned, protocol.TypeWindow:
			p.conn.Send(m)
		case protocol.TypeReport:
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
		return CopyExecutable(path)
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
	if err := CopyExecutable(target); err != nil {
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
