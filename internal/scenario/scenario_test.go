// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"slices"
	"strings"
	"testing"
)

func TestSyscallTable(t *testing.T) {
	kinds := []Kind{Number, FD, Path, Text, Buffer, Length, Vector, Address, Message, List, How, Out, Pair, Limit, Groups, Zero}
	if !slices.IsSorted(slices.DeleteFunc(slices.Clone(SyscallNames()), func(s string) bool { return strings.Contains(s, "_") })) {
		t.Error("the calls are not in order")
	}
	for _, name := range SyscallNames() {
		s := SyscallByName(name)
		raw := 0
		for _, a := range s.Args {
			if !slices.Contains(kinds, a.Kind) {
				t.Errorf("%s: %s has the unknown kind %q", name, a.Name, a.Kind)
			}
			if a.Set != "" && a.Set != "pid" && len(Constants(a.Set)) == 0 {
				t.Errorf("%s: %s has the unknown set %q", name, a.Name, a.Set)
			}
			raw++
			if a.Kind == Address || a.Kind == Vector || a.Kind == How || a.Kind == Groups {
				raw++
			}
		}
		if raw > 6 {
			t.Errorf("%s has %d arguments", name, raw)
		}
	}
}

func TestArguments(t *testing.T) {
	s := SyscallByName("linkat")
	for _, name := range []string{"newDirFd", "newdirfd", "new_dir_fd"} {
		if a := s.Arg(name); a == nil || a.Name != "newDirFd" {
			t.Errorf("%s is %v", name, a)
		}
	}
	if a := s.Arg("dir"); a != nil {
		t.Errorf("got %v", a)
	}
	flags := SyscallByName("open").Arg("flags")
	for text, want := range map[string]int64{"O_WRONLY|O_CREAT": 0x41, "O_RDONLY": 0, "0x80000 | O_RDWR": 0x80002, "12": 12} {
		if got, err := flags.ParseNumber(text); err != nil || got != want {
			t.Errorf("%q is %d, %v", text, got, err)
		}
	}
	if _, err := flags.ParseNumber("O_CREATE"); err == nil || err.Error() != `"O_CREATE" is none of the names of open` {
		t.Errorf("got %v", err)
	}
}

// What cap_from_text(3) reads, numbers included.
func TestParseCapabilities(t *testing.T) {
	const all = 1<<41 - 1
	for text, want := range map[string]Capabilities{
		"all=iep":                            {all, all, all, 0},
		"=":                                  {},
		"=ep":                                {Effective: all, Permitted: all},
		"cap_chown,cap_kill=ep":              {Effective: 1 | 1<<5, Permitted: 1 | 1<<5, Required: 1 | 1<<5},
		"CAP_CHOWN+e+p":                      {Effective: 1, Permitted: 1, Required: 1},
		"0,5=p":                              {Permitted: 1 | 1<<5, Required: 1 | 1<<5},
		"all=iep cap_sys_admin-e":            {Effective: all &^ (1 << 21), Inheritable: all, Permitted: all, Required: 1 << 21},
		"ALL=iep cap_sys_admin-eip":          {Effective: all &^ (1 << 21), Inheritable: all &^ (1 << 21), Permitted: all &^ (1 << 21)},
		"cap_chown=eip  cap_chown-e\tkill+i": {Inheritable: 1 | 1<<5, Permitted: 1, Required: 1},
	} {
		if got, err := ParseCapabilities(text); err != nil || got != want {
			t.Errorf("%q is %x, %v, want %x", text, got, err, want)
		}
	}
	for _, text := range []string{"cap_chown", "cap_chwon=e", "64=e", "+e", "cap_chown=x"} {
		if got, err := ParseCapabilities(text); err == nil {
			t.Errorf("%q is %x, want an error", text, got)
		}
	}
}
