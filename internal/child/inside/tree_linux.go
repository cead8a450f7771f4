// SPDX-License-Identifier: Apache-2.0

package inside

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/journal"
	"github.com/falcotest/go-falcotest/internal/procstat"
)

// proc is what /proc tells of a process.
type proc struct {
	pid, ppid, session int
	start              uint64 // as journal.StartOf has it
}

// processes returns all processes but zombies.
func processes() []proc {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	var list []proc
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		data, err := os.ReadFile(filepath.Join("/proc", name, "stat"))
		if err != nil {
			continue
		}
		if st, err := procstat.Parse(data); err == nil && !st.Dead() {
			list = append(list, proc{pid: pid, ppid: int(st.PPID), session: int(st.Session), start: st.Start})
		}
	}
	return list
}

// KillDescendants kills all processes below pid and all of its session, until
// there are none, and returns them. With byID, those that carry the id in
// their environment too: when pid is dead, it is no one's parent.
func KillDescendants(pid int, id string, byID bool) []int {
	var killed []int
	mark := []byte(config.EnvID + "=" + id)
	own := os.Getpid()
	// Each round kills a generation; a process that starts others faster than
	// they are found loses, because it is killed itself.
	for range 10_000 {
		all := processes()
		doomed := map[int]bool{}
		if byID {
			for _, p := range all {
				doomed[p.pid] = carries(p.pid, mark)
			}
		}
		for again := true; again; {
			again = false
			for _, p := range all {
				if !doomed[p.pid] && (p.ppid == pid || p.session == pid || doomed[p.ppid]) {
					doomed[p.pid], again = true, true
				}
			}
		}
		found := false
		for _, p := range all {
			if !doomed[p.pid] || p.pid == pid || p.pid == own {
				continue
			}
			if hit, _ := journal.KillProcess(p.pid, p.start); hit {
				found = true
				if !slices.Contains(killed, p.pid) {
					killed = append(killed, p.pid)
				}
			}
		}
		if !found {
			break
		}
		runtime.Gosched()
	}
	return killed
}

func init() { journal.EndProcesses(endOrphans) }

// endOrphans waits for the processes of an action whose owner is dead, which end
// by themselves within the grace, and kills them then.
func endOrphans(id string) {
	mark := []byte(config.EnvID + "=" + id)
	alive := func() bool {
		return slices.ContainsFunc(processes(), func(p proc) bool { return carries(p.pid, mark) })
	}
	const again = 20 * time.Millisecond
	for deadline := time.Now().Add(DefaultGrace); alive(); time.Sleep(again) {
		if time.Now().After(deadline) {
			KillDescendants(-1, id, true)
			return
		}
	}
}

// hasChildren tells whether this process has any, dead or alive.
func hasChildren() bool {
	return unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT|unix.WALL, nil) != unix.ECHILD
}

func threadID() int { return unix.Gettid() }

// carries tells whether a process was started with a variable.
func carries(pid int, mark []byte) bool {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return false
	}
	for kv := range bytes.SplitSeq(data, []byte{0}) {
		if bytes.Equal(kv, mark) {
			return true
		}
	}
	return false
}
