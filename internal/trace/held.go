// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package trace

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/event"
)

// patience is how often a maker gets the processor before it is asked.
const patience = 3

// next waits for a notification. While children are held, it first sees to it
// that someone alive will tell of them.
func (t *tracer) next(status *uint32) (int, error) {
	for round := 0; len(t.held) > 0; round++ {
		tid, err := wait4(status, unix.WNOHANG)
		if tid != 0 || err != nil {
			return tid, err
		}
		// Nothing is to be told now. Mostly the maker, which shares its
		// processor with the tracer, has not come that far.
		if round == patience {
			t.askForHeld()
			break
		}
		unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
	}
	return wait4(status, 0)
}

// askForHeld lets go those held children that no one will tell of, because
// their makers were killed. The next thing that the tracer hears of a maker is
// the birth, or its end; so a thread that was heard of since the child is held,
// or that sleeps, is not the maker. The others are stopped, to be heard of.
func (t *tracer) askForHeld() {
	for tid, since := range t.held {
		waiting := false
		for _, th := range t.threads {
			if th.heard > since || !t.mayBeMaking(th) {
				continue
			}
			waiting = true
			if th.asked < since {
				th.asked = since
				_ = ptrace(unix.PTRACE_INTERRUPT, th.tid, 0, 0) // ESRCH: its end is told
			}
		}
		if waiting {
			continue
		}
		delete(t.held, tid)
		th := t.adopt(tid)
		if th == nil {
			t.resumeTID(tid, unix.PTRACE_CONT, 0)
			continue
		}
		th.bornBy, th.bornWith = t.birth(th, 0)
		th.Flags = cloneFlags(th.bornWith)
		t.start(th)
	}
}

// mayBeMaking tells whether a thread may be between making a child and telling
// of it, where it does not sleep.
func (t *tracer) mayBeMaking(th *thread) bool {
	if th.listening {
		return false
	}
	if th.inCall {
		switch th.call.typ {
		case event.SysClone, event.SysClone3, event.SysFork, event.SysVfork:
		default:
			return false
		}
	}
	st := t.stat(th.TID)
	return st.State == 0 || st.State == 'R' || st.State == 't'
}

// recapture takes hold of children that were made untraced: clone3 takes its
// flags from memory, which another thread may change after they were looked
// at. Until now all their calls that the filter selects have failed, for want
// of a tracer.
func (t *tracer) recapture(bornBy event.Type) {
	for more := true; more; {
		more = false
		dirs, err := os.ReadDir("/proc")
		if err != nil {
			return
		}
		for _, d := range dirs {
			pid, err := strconv.ParseInt(d.Name(), 10, 64)
			if err != nil {
				continue
			}
			if t.processes[pid] == nil {
				if st := t.stat(pid); st.State == 0 || t.processes[st.PPID] == nil || st.State == 'Z' {
					continue
				}
			}
			tasks, _ := os.ReadDir("/proc/" + d.Name() + "/task")
			for _, task := range tasks {
				tid, err := strconv.Atoi(task.Name())
				if _, held := t.held[tid]; err != nil || held || t.threads[tid] != nil || t.lost[tid] {
					continue
				}
				if ptrace(unix.PTRACE_SEIZE, tid, 0, traceOptions) != nil {
					continue // it has ended, or is traced and will be told of
				}
				more = true
				th := t.adopt(tid)
				if th == nil {
					continue
				}
				th.started, th.bornBy = true, bornBy
				if t.wanted[bornBy] {
					t.reportBirth(th)
				}
				if t.killed.Load() {
					_ = unix.Kill(int(th.proc.PID), unix.SIGKILL)
				}
				// It may just be making another: see attach.
				th.caught = true
				_ = ptrace(unix.PTRACE_INTERRUPT, tid, 0, 0)
			}
		}
	}
}
