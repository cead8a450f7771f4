// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package trace

import (
	"encoding/binary"
	"fmt"
	"slices"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/marks"
)

// stateTypes are followed always: they change what events say of a process,
// and /proc does not tell it in time or in the words that the process used.
var stateTypes = []event.Type{
	event.SysChdir, event.SysFchdir, event.SysChroot,
	event.SysSetuid, event.SysSetgid, event.SysSetreuid, event.SysSetregid, event.SysSetresuid, event.SysSetresgid,
	event.SysCapset, event.SysSetsid, event.SysSetpgid, event.SysUnshare, event.SysSetns,
	event.SysSetrlimit, event.SysPrlimit,
	event.SysSeccomp, event.SysClone3,
}

// fdTypes are followed when an event that was asked for speaks of a descriptor:
// they give descriptors the names that Falco knows them by.
var fdTypes = []event.Type{
	event.SysOpen, event.SysOpenat, event.SysOpenat2, event.SysCreat, event.SysOpenByHandleAt,
	event.SysBind, event.SysConnect, event.SysAccept, event.SysAccept4,
	event.SysMemfdCreate, event.SysPidfdOpen,
}

// typeSet tells for each type whether it is in the set.
type typeSet [event.NumTypes]bool

// wantedSet is the set of events to report.
func wantedSet(types []event.Type) (set typeSet) {
	for _, typ := range types {
		if typ < event.NumTypes {
			set[typ] = true
		}
	}
	return set
}

// followedSet is the set of events to decode: those wanted, and those which
// keep the state that they refer to.
func followedSet(types []event.Type) typeSet {
	set := wantedSet(types)
	if set[event.SysExecve] {
		set[event.SysExecveat] = true // reported as execve when it succeeds
	}
	usesFD := false
	for _, typ := range types {
		for _, p := range typ.Def().Params {
			usesFD = usesFD || p.Type == event.PFD
		}
	}
	for _, typ := range stateTypes {
		set[typ] = true
	}
	if usesFD {
		for _, typ := range fdTypes {
			set[typ] = true
		}
		if ways, err := Probe(); err == nil && ways&(PidfdGetfd|ProcNet) == 0 {
			set[event.SysSocket] = true // else sockets are asked what they are
		}
	}
	return set
}

// keptSet is the set of events to decode where nothing is judged: those that
// processes, programs and descriptors are known by.
func keptSet(set typeSet) typeSet {
	var always typeSet
	for _, typ := range append(append([]event.Type{
		event.SysClone, event.SysFork, event.SysVfork, event.SysExecve, event.SysExecveat, event.SysClose,
	}, stateTypes...), fdTypes...) {
		always[typ] = true
	}
	for typ := range set {
		set[typ] = set[typ] && (always[typ] || event.Type(typ).Def().Attrs&event.CreatesFD != 0)
	}
	return set
}

// Program returns the seccomp filter that makes exactly those calls stop which
// a tracer with the same types must see, for [marks.InstallFilter].
func Program(types []event.Type) ([]byte, error) {
	set := followedSet(types)
	prog := filterFor(&set)
	raw, err := bpf.Assemble(prog)
	if err != nil {
		return nil, fmt.Errorf("assembling the seccomp filter: %w", err)
	}
	out := make([]byte, 0, len(raw)*8)
	for _, ins := range raw {
		out = binary.NativeEndian.AppendUint16(out, ins.Op)
		out = append(out, ins.Jt, ins.Jf)
		out = binary.NativeEndian.AppendUint32(out, ins.K)
	}
	return out, nil
}

// Offsets in struct seccomp_data.
const (
	dataNr   = 0
	dataArch = 4
	dataArg0 = 16
)

// filterFor writes the filter: one comparison and one return for each number.
// The kernel runs it for each number once, when it is installed, and never
// again for those that it lets pass whatever their arguments.
func filterFor(set *typeSet) []bpf.Instruction {
	trace := bpf.RetConstant{Val: unix.SECCOMP_RET_TRACE}
	allow := bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW}

	native := nativeNumbers(set)
	body := []bpf.Instruction{bpf.LoadAbsolute{Off: dataNr, Size: 4}}
	for _, nr := range native {
		body = append(body, bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(nr), SkipFalse: 1}, trace)
	}
	// A child made with CLONE_UNTRACED would keep the filter and lose its
	// tracer, and all its selected calls would fail; stop to prevent that.
	if nrs := event.SysClone.Numbers(goarch); !set[event.SysClone] && len(nrs) > 0 {
		body = append(body, traceIfArg(nrs[0], bpf.JumpBitsSet, unix.CLONE_UNTRACED)...)
	}
	// After prctl(PR_SET_SECCOMP) a filter of the process's own is in force. And
	// marks are calls of prctl.
	if nrs := event.SysPrctl.Numbers(goarch); !set[event.SysPrctl] && len(nrs) > 0 {
		body = append(body, traceIfArg(nrs[0], bpf.JumpEqual, unix.PR_SET_SECCOMP, marks.Option)...)
	}
	body = append(body, allow)

	compat := []bpf.Instruction{bpf.LoadAbsolute{Off: dataNr, Size: 4}}
	for _, nr := range compatNumbers(set) {
		compat = append(compat, bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(nr), SkipFalse: 1}, trace)
	}
	if !set[event.SysClone] && compatClone != 0 {
		compat = append(compat, traceIfArg(compatClone, bpf.JumpBitsSet, unix.CLONE_UNTRACED)...)
	}
	if !set[event.SysPrctl] && compatPrctl != 0 {
		compat = append(compat, traceIfArg(compatPrctl, bpf.JumpEqual, unix.PR_SET_SECCOMP)...)
	}
	compat = append(compat, allow)

	prog := []bpf.Instruction{
		bpf.LoadAbsolute{Off: dataArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: auditArch, SkipFalse: 1},
		bpf.Jump{Skip: uint32(2 + len(compat))},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: compatArch, SkipTrue: 1},
		allow,
	}
	prog = append(prog, compat...)
	return append(prog, body...)
}

func traceIfArg(nr int, cond bpf.JumpTest, values ...uint32) []bpf.Instruction {
	prog := []bpf.Instruction{
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(nr), SkipFalse: uint8(2 + 2*len(values))},
		bpf.LoadAbsolute{Off: dataArg0, Size: 4},
	}
	for _, value := range values {
		prog = append(prog,
			bpf.JumpIf{Cond: cond, Val: value, SkipFalse: 1},
			bpf.RetConstant{Val: unix.SECCOMP_RET_TRACE})
	}
	return append(prog, bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW})
}

func nativeNumbers(set *typeSet) []int {
	var nrs []int
	for typ := event.None + 1; typ < event.NumTypes; typ++ {
		if set[typ] {
			nrs = append(nrs, typ.Numbers(goarch)...)
		}
	}
	slices.Sort(nrs)
	return nrs
}
