// SPDX-License-Identifier: Apache-2.0

// Package eventtest has events of system calls for tests: it imports
// internal/event and internal/machine.
package eventtest

import (
	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/machine"
)

// Time is when the events were.
const Time = 1795390912906942238 // 2026-11-22T23:41:52.906942238Z

// Process returns a process whose parent is a shell.
func Process(comm, exepath string, args ...string) *event.Process {
	boot := int64(Time - 3600e9)
	init := &event.Process{PID: 1, VPID: 1, SID: 1, PGID: 1, Comm: "systemd", Exe: "/sbin/init", ExePath: "/usr/lib/systemd/systemd", Cwd: "/", LoginUID: -1, StartTime: boot, PidnsInitStart: boot}
	shell := &event.Process{PID: 100, VPID: 100, Parent: init, PPID: 1, SID: 100, PGID: 100, VPGID: 100, Comm: "bash", Exe: "-bash", ExePath: "/usr/bin/bash", Cwd: "/root", LoginUID: -1, StartTime: boot + 1e9, PidnsInitStart: boot}
	return &event.Process{
		PID: 200, VPID: 200, Parent: shell, PPID: 100, SID: 100, VSID: 100, PGID: 200, VPGID: 200,
		Comm: comm, Exe: comm, ExePath: exepath, Args: args, Env: []string{"HOME=/root", "FALCOTEST_ID=abc"},
		Cwd: "/root", Root: "/", LoginUID: -1, TTY: 34816, StartTime: Time - 5e9, CloneTime: Time - 6e9,
		ExeIno: 1234, ExeCtime: Time - 10e9, ExeMtime: Time - 20e9, PidnsInitStart: boot, FDLimit: 1024, Threads: 1,
		CapPermitted: 1<<41 - 1, CapEffective: 1<<41 - 1, Cgroups: []string{"cpuset=/", "cpu=/user.slice"},
		FDs: map[int64]*event.FD{
			0: {Num: 0, Type: event.FDFile, Name: "/dev/pts/0", NameRaw: "/dev/pts/0"},
			1: {Num: 1, Type: event.FDPipe, Name: ""},
			3: {Num: 3, Type: event.FDFile, Name: "/etc/shadow", NameRaw: "/etc/shadow", Flags: event.ORdonly, Dev: 0xFE00, Ino: 42},
		},
	}
}

// Open is cat's open of /etc/shadow for reading.
func Open(p *event.Process, path string, flags uint32) *event.Event {
	fd := &event.FD{Num: 3, Type: event.FDFile, Name: path, NameRaw: path, Flags: flags, Dev: 0xFE00, Ino: 42}
	p.FDs[3] = fd
	return &event.Event{
		Num: 7, Time: Time, CPU: 1, Type: event.SysOpenat, Ret: 3, Thread: &event.Thread{TID: p.PID, VTID: p.VPID, Process: p},
		FD: fd, FDNum: 3, HasFD: true, World: machine.New(),
		Params: []event.Param{
			{Num: 3}, {Num: -100}, {Str: path, Path: path}, {Num: int64(flags)}, {Num: 0}, {Num: 0xFE00}, {Num: 42},
		},
	}
}

// Shadow is that event of a process of its own.
func Shadow() *event.Event {
	return Open(Process("cat", "/usr/bin/cat", "/etc/shadow"), "/etc/shadow", event.ORdonly)
}
