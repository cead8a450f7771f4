// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/falcotest/go-falcotest/internal/scenario"
)

// script is the bash that runs before and after: one, so that what before sets
// is there after. What it prints goes to the log of the run.
type script struct {
	proc *os.Process
	next *os.File // closed to let after run
}

// before runs the script that comes before, and returns what runs the one after,
// nil if it has ended.
func (pl *player) before() (*script, error) {
	before, after := strings.TrimSpace(pl.Scenario.Before), strings.TrimSpace(pl.Scenario.After)
	if before == "" && after == "" {
		return nil, nil
	}
	var bash string
	var null, reached, reachedWriter, nextReader, next *os.File
	var err error
	pl.marks.Aside(func() {
		if bash, err = LookPath("bash"); err != nil {
			return
		}
		if null, err = os.Open(os.DevNull); err != nil {
			return
		}
		if reached, reachedWriter, err = os.Pipe(); err == nil {
			nextReader, next, err = os.Pipe()
		}
	})
	if err != nil {
		return nil, fmt.Errorf("running the script before: %w", err)
	}
	// The numbers are such as the script's own redirections do not use, and nothing in
	// between fails, as the script may have set -e.
	text := "exec 251>&3- 252<&4-; " + before + "\n{ printf '%d.' $? >&251; exec 251>&-; read -r _ <&252 || :; exec 252<&-; }\n" + after
	proc, started := os.StartProcess(bash, []string{bash, "-c", text}, &os.ProcAttr{
		Files: []*os.File{null, os.Stderr, os.Stderr, reachedWriter, nextReader},
	})
	s := &script{proc, next}
	pl.marks.Aside(func() {
		null.Close()
		reachedWriter.Close()
		nextReader.Close()
		if started == nil {
			pl.failed, err = reachedWith(reached)
		}
		reached.Close()
	})
	switch {
	case started != nil:
		pl.marks.Aside(func() { next.Close() })
		return nil, fmt.Errorf("running the script before: %w", started)
	case err != nil: // it ended by itself
		if err := pl.end(s); err != nil {
			return nil, fmt.Errorf("running the script before: %w", err)
		}
		return nil, nil
	}
	return s, nil
}

// reachedWith returns whether the last command of the script before failed, of which
// the script tells the exit status and a dot; an error, if it ended before.
func reachedWith(r io.Reader) (failed bool, err error) {
	var one [1]byte
	for {
		if _, err := io.ReadFull(r, one[:]); err != nil || one[0] == '.' {
			return failed, err
		}
		failed = failed || one[0] != '0'
	}
}

// after runs the script that comes after. That it fails says nothing of the test: what
// it is to remove may not be there.
func (pl *player) after(s *script) {
	if s == nil {
		return
	}
	if err := pl.end(s); err != nil {
		fmt.Fprintln(os.Stderr, "falcotest: the script after ended with", err)
	}
}

func (pl *player) end(s *script) (err error) {
	pl.marks.Aside(func() {
		s.next.Close()
		err = succeeded(s.proc)
	})
	return err
}

// succeeded waits for a process's end, and returns an error if it failed.
func succeeded(proc *os.Process) error {
	ended, err := proc.Wait()
	if err == nil && !ended.Success() {
		err = errors.New(ended.String())
	}
	return err
}

// LookPath finds a program in PATH.
func LookPath(name string) (string, error) {
	for dir := range strings.SplitSeq(os.Getenv("PATH"), ":") {
		path := dir + "/" + name
		if info, err := os.Stat(path); dir != "" && err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", &fs.PathError{Op: "looking in PATH for", Path: name, Err: syscall.ENOENT}
}

// command runs a program to its end. What it prints goes to the log of the run.
func (pl *player) command(c *scenario.Command) error {
	path := c.Program
	var err error
	var stdin *os.File
	pl.marks.Aside(func() {
		if !strings.Contains(path, "/") {
			if path, err = LookPath(path); err != nil {
				return
			}
		}
		stdin, err = pl.input(c.Stdin)
	})
	if err != nil {
		return fmt.Errorf("running %s: %w", c.Program, err)
	}
	more := c.Env
	if c.Dir != "" {
		more = append([]string{"PWD=" + c.Dir}, more...)
	}
	proc, err := os.StartProcess(path, append([]string{c.Program}, c.Args...), &os.ProcAttr{
		Dir: c.Dir, Env: inherited(more...), Files: []*os.File{stdin, os.Stderr, os.Stderr},
	})
	var ended *os.ProcessState
	pl.marks.Aside(func() {
		stdin.Close()
		if err == nil {
			ended, err = proc.Wait()
		}
	})
	if err != nil {
		return fmt.Errorf("running %s: %w", c.Program, err)
	}
	if code := ended.ExitCode(); code != c.Exit {
		return fmt.Errorf("running %s: it ended with %s, and exit status %d is expected", c.Program, ended, c.Exit)
	}
	return nil
}

// input is a file from which a text is read.
func (pl *player) input(text string) (*os.File, error) {
	if text == "" {
		return os.Open(os.DevNull)
	}
	f, err := os.CreateTemp(pl.Temp, "stdin")
	if err != nil {
		return nil, err
	}
	if _, err = f.WriteString(text); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
