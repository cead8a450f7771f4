// SPDX-License-Identifier: Apache-2.0

package capture

import "github.com/falcotest/go-falcotest/internal/event"

// StateTypes are the types of events without which a recording's state would be
// wrong, whatever rules ask for: who made whom, what is executed, which
// descriptors there are, who a process is and where.
func StateTypes() []event.Type {
	var types []event.Type
	for t := event.None + 1; t < event.NumTypes; t++ {
		if d := t.Def(); d.IsSyscall() && d.Attrs&event.Generic == 0 && d.Attrs&event.ModifiesState != 0 && !frequent[t] {
			types = append(types, t)
		}
	}
	return append(types, event.SysAccept, event.SysAccept4, event.SysSetpgid, event.EvtProcexit)
}

// DefaultTypes are the types that are recorded where no rules say what they ask
// for: all calls whose parameters Falco knows but those that programs make all the
// time and that rules hardly ever ask for.
func DefaultTypes() []event.Type {
	types := []event.Type{event.EvtProcexit}
	for t := event.None + 1; t < event.NumTypes; t++ {
		if d := t.Def(); d.IsSyscall() && d.Attrs&event.Generic == 0 && len(d.Params) > 0 && !frequent[t] {
			types = append(types, t)
		}
	}
	return types
}

// frequent are calls that change no state that matters, or none at all.
var frequent = map[event.Type]bool{
	event.SysRead: true, event.SysWrite: true, event.SysReadv: true, event.SysWritev: true, event.SysPread: true, event.SysPwrite: true,
	event.SysPreadv: true, event.SysPwritev: true, event.SysFutex: true, event.SysMmap: true, event.SysMmap2: true, event.SysMunmap: true,
	event.SysBrk: true, event.SysMprotect: true, event.SysLseek: true, event.SysLlseek: true, event.SysStat: true, event.SysLstat: true,
	event.SysFstat: true, event.SysNewfstatat: true, event.SysStat64: true, event.SysLstat64: true, event.SysFstat64: true,
	event.SysEpollWait: true, event.SysPoll: true, event.SysPpoll: true, event.SysSelect: true, event.SysNanosleep: true,
	event.SysGetcwd: true, event.SysGetuid: true, event.SysGeteuid: true, event.SysGetgid: true, event.SysGetegid: true,
	event.SysGetresuid: true, event.SysGetresgid: true, event.SysGetdents: true, event.SysGetdents64: true, event.SysGetrlimit: true,
	event.SysSplice: true, event.SysSendfile: true, event.SysGetsockopt: true, event.SysSetsockopt: true, event.SysIoctl: true,
}
