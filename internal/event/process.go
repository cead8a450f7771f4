// SPDX-License-Identifier: Apache-2.0

package event

import (
	"strings"
	"unsafe"
)

// memo keeps texts that are made of a process's arguments, which conditions ask
// for with nearly every event, until the arguments change.
type memo struct {
	comm          string
	args, env     *string // where the slices began when the texts were made
	nargs, nenv   int
	cmdline       string
	joinedArgs    string
	joinedEnv     string
	haveCmd, hasA bool
	haveEnv       bool
	cwdOf, cwd    string
}

func (m *memo) refresh(p *Process) {
	if a := unsafe.SliceData(p.Args); a != m.args || len(p.Args) != m.nargs || p.Comm != m.comm {
		m.args, m.nargs, m.comm = a, len(p.Args), p.Comm
		m.haveCmd, m.hasA = false, false
	}
}

// Cmdline is what proc.cmdline shows: the name of the process (task->comm) and
// its arguments. It must be called on the goroutine that owns the process; Args
// must be replaced, not changed in place.
func (p *Process) Cmdline() string {
	p.memo.refresh(p)
	if !p.memo.haveCmd {
		p.memo.cmdline, p.memo.haveCmd = join(p.Comm, p.Args), true
	}
	return p.memo.cmdline
}

// JoinedArgs is what proc.args shows.
func (p *Process) JoinedArgs() string {
	p.memo.refresh(p)
	if !p.memo.hasA {
		p.memo.joinedArgs, p.memo.hasA = strings.Join(p.Args, " "), true
	}
	return p.memo.joinedArgs
}

// JoinedEnv is what proc.env shows.
func (p *Process) JoinedEnv() string {
	m := &p.memo
	if e := unsafe.SliceData(p.Env); !m.haveEnv || e != m.env || len(p.Env) != m.nenv {
		m.env, m.nenv, m.haveEnv = e, len(p.Env), true
		m.joinedEnv = strings.Join(p.Env, " ")
	}
	return m.joinedEnv
}

// ExeLine is what proc.exeline shows: argv[0] and the arguments.
func (p *Process) ExeLine() string { return p.Exe + " " + p.JoinedArgs() }

// CwdSlash is the working directory as proc.cwd shows it, with a slash at its end.
func (p *Process) CwdSlash() string {
	if p.Cwd == "" || p.Cwd[len(p.Cwd)-1] == '/' {
		return p.Cwd
	}
	if p.memo.cwdOf != p.Cwd {
		p.memo.cwdOf, p.memo.cwd = p.Cwd, p.Cwd+"/"
	}
	return p.memo.cwd
}

// Getenv returns the value of an environment variable without the spaces around
// it, as proc.env[NAME] shows it; it is empty when the variable is not set.
func (p *Process) Getenv(name string) string {
	for _, kv := range p.Env {
		if len(kv) > len(name)+1 && kv[len(name)] == '=' && kv[:len(name)] == name {
			return strings.Trim(kv[len(name)+1:], " ")
		}
	}
	return ""
}

// Ancestor returns the nth ancestor: 0 is the process itself, 1 its parent. It
// is nil when there is none.
func (p *Process) Ancestor(n int) *Process {
	for ; n > 0 && p != nil; n-- {
		p = p.Parent
	}
	return p
}

func join(first string, rest []string) string {
	n := len(first)
	for _, s := range rest {
		n += 1 + len(s)
	}
	var b strings.Builder
	b.Grow(n)
	b.WriteString(first)
	for _, s := range rest {
		b.WriteByte(' ')
		b.WriteString(s)
	}
	return b.String()
}
