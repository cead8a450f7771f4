// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"slices"
	"strings"

	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/source"
)

// unwatched are the system calls that Falco 0.43.1 and 0.44.1 do not watch, whatever the
// rules ask for, unless base_syscalls.all is true or -A is given: falco
// --dry-run names them as unsupported-evttype, and goes on.
var unwatched = []string{"pread", "preadv", "pwrite", "pwritev", "read", "readv", "recv", "send", "sendfile", "write", "writev"}

// remarkOfUnwatched notes that a rule asks for such system calls.
func (l *loader) remarkOfUnwatched(r *Rule, item string) {
	if r.Source != source.Default || r.EventTypes.Unbounded() {
		return
	}
	var names []string
	for _, name := range r.EventTypes.Listed() {
		if slices.Contains(unwatched, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return
	}
	pos := r.Pos
	r.Expr.Walk(func(e *filter.Expr) bool {
		if e.Kind == filter.Check && e.Left.Field == "evt.type" && e.Right != nil && slices.Contains(e.Right.Values, names[0]) && pos == r.Pos {
			pos = e.Pos()
		}
		return true
	})
	p := l.remark(pos, "by default, Falco does not watch %s, whatever rules ask for", strings.Join(names, ", "))
	p.Item = item
	p.hint("the rule needs a Falco with -A, or with base_syscalls.all: true in its configuration")
}
