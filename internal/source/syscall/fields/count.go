// SPDX-License-Identifier: Apache-2.0

package fields

import (
	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/filter"
)

// eventKinds is how many kinds of events Falco 0.43.1 has in all: the entries of
// driver/event_table.c of libs 0.23.2.
const eventKinds = 430

// kindsOf is how many of them have a name, where those are not two, one for
// entering the call and one for leaving it.
var kindsOf = map[string]int{
	"accept": 8, "bpf": 4, "brk": 4, "clone": 8, "dup": 4, "execve": 16, "fork": 6, "ioctl": 4, "link": 4, "linkat": 4, "mkdir": 4, "openat": 4,
	"rmdir": 4, "select": 4, "umount": 4, "unlink": 4, "unlinkat": 4, "vfork": 6,
	"asyncevent": 1, "container": 3, "cpu_hotplug": 1, "groupadded": 1, "groupdeleted": 1, "infra": 1, "notification": 1, "page_fault": 1,
	"pluginevent": 1, "procinfo": 1, "scapevent": 1, "signaldeliver": 1, "useradded": 1, "userdeleted": 1,
}

// byNumber is the kind of all calls that Falco reports with their number alone.
const byNumber = "syscall"

// EventKind returns the name of a type of events, and for all calls that Falco
// reports with their number alone the same.
func (s *Source) EventKind(name string) string {
	if t, ok := event.ByName(name); ok && t.Def().Attrs&event.Generic != 0 {
		return byNumber
	}
	return name
}

// CountEvents returns how many kinds of events a set stands for to Falco.
func (s *Source) CountEvents(kinds filter.TypeSet) int {
	n := 0
	for _, name := range kinds.Listed() {
		if k := kindsOf[name]; k != 0 {
			n += k
		} else {
			n += 2
		}
	}
	if kinds.Unbounded() {
		n = eventKinds - n
	}
	return n
}
