// SPDX-License-Identifier: Apache-2.0

package child

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"

	"github.com/falcotest/go-falcotest/internal/child/inside"
	"github.com/falcotest/go-falcotest/internal/hermetic"
	"github.com/falcotest/go-falcotest/internal/journal"
	"github.com/falcotest/go-falcotest/internal/tail"
)

// startLocal starts the action's process on this machine.
func startLocal(spec Spec) (Transport, error) {
	dir, err := journal.Create("", spec.ID)
	if err != nil {
		return Transport{}, err
	}
	p, err := startProcess(spec, dir, spec.Hermetic)
	if err != nil && spec.Hermetic {
		// The kernel may refuse the namespaces: then without.
		why := err
		if p, err = startProcess(spec, dir, false, hermetic.Refused(why)); err != nil {
			err = why
		}
	}
	if err != nil {
		dir.Close()
		return Transport{}, err
	}
	return Transport{
		In:          p.in,
		Out:         p.out,
		PID:         p.cmd.Process.Pid,
		Kill:        p.cmd.Process.Kill,
		Wait:        p.wait,
		Descendants: func(died bool) []int { return inside.KillDescendants(p.cmd.Process.Pid, spec.ID, died) },
		Journal:     dir.Add,
		Done:        dir.Done,
		Output:      p.tail.String,
		Exhausted:   p.tail.exhausted,
		Close: func() ([]string, error) {
			p.close()
			undone, err := dir.Close()
			lines := make([]string, len(undone))
			for i, op := range undone {
				lines[i] = op.String()
			}
			return lines, err
		},
	}, nil
}

type process struct {
	cmd     *exec.Cmd
	in, out *os.File // this end of its standard input and output
	errors  *os.File // this end of its standard error
	tail    *errorOutput
	copied  chan struct{} // closed when its standard error has ended
}

func startProcess(spec Spec, dir *journal.Dir, isolate bool, extra ...string) (*process, error) {
	exe, err := executable()
	if err != nil {
		return nil, fmt.Errorf("finding this executable: %w", err)
	}
	env, args := Environ(spec)
	cmd := exec.Command(exe, args...)
	cmd.Dir = spec.Dir
	cmd.Env = append(inside.Inherited(os.Environ()), spec.Env...)
	cmd.Env = append(cmd.Env, env...)
	cmd.Env = append(cmd.Env, extra...)
	if runtime.GOOS != "windows" {
		cmd.Env = append(cmd.Env, "TMPDIR="+dir.Temp())
	}
	newSession(cmd)
	// In a namespace of its own no link leads from the machine's files to those of
	// the directory.
	provideExecutable(dir.Path())
	if isolate {
		more, err := hermetic.Prepare(cmd.SysProcAttr, dir.Path(), spec.Mounts)
		if err != nil {
			return nil, err
		}
		cmd.Env = append(cmd.Env, more...)
	}

	p := &process{cmd: cmd, tail: &errorOutput{Writer: tail.Writer{Sink: spec.Output}}, copied: make(chan struct{})}
	var theirs []*os.File
	pipe := func(toChild bool) (mine, its *os.File) {
		r, w, e := os.Pipe()
		if e != nil {
			err = e
			return nil, nil
		}
		if toChild {
			mine, its = w, r
		} else {
			mine, its = r, w
		}
		theirs = append(theirs, its)
		return mine, its
	}
	var stdin, stdout, stderr *os.File
	p.in, stdin = pipe(true)
	p.out, stdout = pipe(false)
	p.errors, stderr = pipe(false)
	if err == nil {
		cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
		err = cmd.Start()
	}
	for _, f := range theirs {
		f.Close()
	}
	if err != nil {
		for _, f := range []*os.File{p.in, p.out, p.errors} {
			if f != nil {
				f.Close()
			}
		}
		return nil, err
	}
	go func() {
		defer close(p.copied)
		buf := make([]byte, 32<<10)
		for {
			n, err := p.errors.Read(buf)
			p.tail.Write(buf[:n])
			if err != nil {
				return
			}
		}
	}()
	return p, nil
}

func (p *process) wait(exit func() string) string {
	var ended string
	if exit != nil {
		ended = exit() // before Wait below, which would take the status from the tracer
	}
	err := p.cmd.Wait()
	if exit == nil && err != nil {
		ended = err.Error()
	}
	return ended
}

func (p *process) close() {
	// All who could write to it are gone, so its end has come or is near; but
	// a process that could not be killed must not hold this one.
	timer := time.NewTimer(2 * time.Second)
	defer timer.Stop()
	select {
	case <-p.copied:
	case <-timer.C:
	}
	p.errors.Close()
	p.out.Close()
	<-p.copied
}

// errorOutput keeps the end of what a process writes, and what it died for want of.
type errorOutput struct {
	tail.Writer
	mu   sync.Mutex
	want exhaustion
}

// exhausted tells what the process died for want of, nil if it did not.
func (o *errorOutput) exhausted() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.want.err
}

func (o *errorOutput) Write(p []byte) (int, error) {
	o.mu.Lock()
	o.want.look(p)
	o.mu.Unlock()
	return o.Writer.Write(p)
}
