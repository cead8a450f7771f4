// SPDX-License-Identifier: Apache-2.0

package child

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/falcotest/go-falcotest/internal/trace"
)

func installFilter(program []byte) error { return trace.InstallFilter(program) }

func inherited(fd uintptr, name string) *os.File {
	syscall.CloseOnExec(int(fd))
	return os.NewFile(fd, name)
}

// endSession kills the session that this process leads, itself included.
func endSession() {
	killTree(os.Getpid(), os.Getenv(EnvID))
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

// Tree returns the processes of an action that still exist: the child itself,
// its session, its descendants, and whatever has its id in the environment.
// Ids are those of the host's /proc.
func Tree(pid int, id string) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	type proc struct{ ppid, session int }
	procs := make(map[int]proc)
	for _, e := range entries {
		n, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if ppid, session, alive := procStat(n); alive {
			procs[n] = proc{ppid, session}
		}
	}
	self := os.Getpid()
	marker := []byte(EnvID + "=" + id + "\x00")
	var tree []int
	for n, p := range procs {
		if n == self {
			continue
		}
		ours := n == pid || p.session == pid
		for up, steps := p.ppid, 0; !ours && up > 1 && steps < 64; steps++ {
			ours = up == pid
			up = procs[up].ppid
		}
		if !ours && id != "" {
			env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", n))
			ours = err == nil && (bytes.HasPrefix(env, marker) || bytes.Contains(env, append([]byte{0}, marker...)))
		}
		if ours {
			tree = append(tree, n)
		}
	}
	return tree
}

// procStat reads a process's parent and session; alive is false for zombies.
func procStat(pid int) (ppid, session int, alive bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, false
	}
	// The name in parentheses may hold anything.
	rest := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(rest) < 4 {
		return 0, 0, false
	}
	ppid, _ = strconv.Atoi(rest[1])
	session, _ = strconv.Atoi(rest[3])
	return ppid, session, rest[0] != "Z" && rest[0] != "X"
}

// killTree kills an action's processes until none is found: a process that
// forks while it is being killed is found by the next look.
func killTree(pid int, id string) {
	for range 1000 {
		tree := Tree(pid, id)
		if len(tree) == 0 {
			return
		}
		for _, n := range tree {
			syscall.Kill(n, syscall.SIGKILL)
		}
	}
}
