// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package builtin

import (
	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/trace"
)

// toldTypes are the kinds of system calls by which it is said what an action did
// where its rule asks for others: not those that every program makes all the time.
var toldTypes = []event.Type{
	event.SysOpen, event.SysOpenat, event.SysOpenat2, event.SysOpenByHandleAt, event.SysCreat, event.SysTruncate, event.SysFtruncate,
	event.SysUnlink, event.SysUnlinkat, event.SysRename, event.SysRenameat, event.SysRenameat2, event.SysLink, event.SysLinkat,
	event.SysSymlink, event.SysSymlinkat, event.SysMkdir, event.SysMkdirat, event.SysRmdir, event.SysMknod, event.SysMknodat,
	event.SysChmod, event.SysFchmod, event.SysFchmodat, event.SysFchmodat2, event.SysChown, event.SysLchown, event.SysFchown, event.SysFchownat,
	event.SysSetxattr, event.SysFsetxattr, event.SysLsetxattr, event.SysUtimensat, event.SysCopyFileRange, event.SysSendfile,
	event.SysExecve, event.SysExecveat, event.SysPtrace, event.SysKill, event.SysMemfdCreate, event.SysDup2, event.SysDup3,
	event.SysProcessVmReadv, event.SysProcessVmWritev, event.SysPidfdOpen, event.SysPidfdGetfd, event.SysUserfaultfd, event.SysPersonality,
	event.SysSocket, event.SysSocketpair, event.SysBind, event.SysListen, event.SysConnect, event.SysAccept, event.SysAccept4,
	event.SysSendto, event.SysSendmsg, event.SysSendmmsg, event.SysRecvfrom, event.SysRecvmsg,
	event.SysMount, event.SysUmount, event.SysUmount2, event.SysPivotRoot, event.SysChroot, event.SysChdir, event.SysFchdir, event.SysUnshare, event.SysSetns,
	event.SysSetuid, event.SysSetgid, event.SysSetreuid, event.SysSetregid, event.SysSetresuid, event.SysSetresgid, event.SysCapset, event.SysSetsid,
	event.SysBpf, event.SysPerfEventOpen, event.SysInitModule, event.SysFinitModule, event.SysDeleteModule, event.SysKexecLoad,
	event.SysIoUringSetup, event.SysInotifyAddWatch, event.SysFanotifyInit, event.SysSethostname, event.SysSetdomainname, event.SysSettimeofday,
}

// Types looks at the types of the events alone, of calls that no rule asks for too.
func (t *Tracing) Types() (*Tracing, error) {
	all := &Tracing{Engine: t.Engine, types: toldTypes, container: t.container, Here: t.Here, keepAll: true}
	var err error
	all.program, err = trace.Program(all.types)
	return all, err
}
