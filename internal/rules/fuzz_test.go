// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// FuzzLoad loads a file on top of one with a rule, a macro and a list. What
// loads is consistent; what does not gives errors with a code and a text.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/verdicts/*.yaml", "testdata/explain/*.yaml", "testdata/problems/*.txtar"} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			f.Fatal("no seeds", pattern, err)
		}
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			if filepath.Ext(name) == ".txtar" {
				for _, member := range txtar.Parse(data).Files {
					f.Add(member.Data)
				}
				continue
			}
			f.Add(data)
		}
	}
	base := File{"base.yaml", []byte("- list: l\n  items: [a, b]\n- macro: m\n  condition: proc.name in (l)\n- rule: r\n  desc: d\n  condition: evt.type = open and m\n  output: o\n  priority: INFO\n  exceptions:\n    - {name: e, fields: fd.name, values: [x]}\n")}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		set, err := load(base, File{"fuzz.yaml", data})
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || len(e.Problems) == 0 {
				t.Fatalf("got %T: %v", err, err)
			}
			for _, p := range e.Problems {
				if !p.Code.IsError() || p.Msg == "" || p.Long() == "" {
					t.Errorf("got %+v", p)
				}
			}
			return
		}
		for _, r := range set.Rules {
			if r.Name == "" || r.Expr == nil || r.Expr.String() == "" || set.Program(r.Source) == nil || len(r.Format) == 0 && r.Output != "" && r.CompiledOutput() != "" {
				t.Errorf("got %+v", r)
			}
		}
		for _, w := range set.Warnings {
			if w.Code.IsError() || w.Msg == "" {
				t.Errorf("got %+v", w)
			}
		}
	})
}
