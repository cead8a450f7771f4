// SPDX-License-Identifier: Apache-2.0

//go:build linux

package trace

import (
	"slices"
	"strings"
	"sync"

	"github.com/falcotest/go-falcotest/internal/event"
)

// socketcall is the one call of 32-bit x86 that stands for all socket calls.
const socketcall = 102

// socketcalls are the calls behind it, by its first argument.
var socketcalls = [...]event.Type{
	1: event.SysSocket, 2: event.SysBind, 3: event.SysConnect, 4: event.SysListen, 5: event.SysAccept,
	6: event.SysGetsockname, 7: event.SysGetpeername, 8: event.SysSocketpair, 9: event.SysSend, 10: event.SysRecv,
	11: event.SysSendto, 12: event.SysRecvfrom, 13: event.SysShutdown, 14: event.SysSetsockopt,
	15: event.SysGetsockopt, 16: event.SysSendmsg, 17: event.SysRecvmsg, 18: event.SysAccept4,
	19: event.SysRecvmmsg, 20: event.SysSendmmsg,
}

// compatNames are the calls of 32-bit x86 whose arguments are those of a call
// that has another name on 64-bit.
var compatNames = map[string]string{
	"pread64": "", "pwrite64": "", // the offset comes in two registers
	"umount": "umount", "_llseek": "llseek", "fcntl64": "fcntl", "sendfile64": "sendfile",
	"ugetrlimit": "getrlimit", "getrlimit": "", "prlimit64": "prlimit", "waitpid": "waitpid",
}

// compatTypes maps the numbers of 32-bit x86 to event types.
var compatTypes = sync.OnceValue(func() map[int]event.Type {
	m := make(map[int]event.Type)
	for nr, name := range i386Calls {
		if name == "" {
			continue
		}
		if other, ok := compatNames[name]; ok {
			name = other
		} else {
			name = strings.TrimSuffix(name, "32") // setuid32, chown32: the ids have 32 bits
		}
		if typ, ok := event.ByName(name); ok && typ.Def().IsSyscall() {
			m[nr] = typ
		}
	}
	return m
})

func compatType(nr int) event.Type { return compatTypes()[nr] }

func compatNumbers(set *typeSet) []int {
	var nrs []int
	for nr, typ := range compatTypes() {
		if set[typ] {
			nrs = append(nrs, nr)
		}
	}
	if slices.ContainsFunc(socketcalls[:], func(typ event.Type) bool { return typ != event.None && set[typ] }) &&
		!slices.Contains(nrs, socketcall) {
		nrs = append(nrs, socketcall)
	}
	slices.Sort(nrs)
	return nrs
}
