// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Whatever is broken in a rule that the files test, some case fails, and says
// which and why.
func TestFilesNoticeBrokenRules(t *testing.T) {
	rules, err := os.ReadFile("testdata/testfiles/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []struct{ rule, old, broken string }{
		{"Ledger Read", "openat2) and evt.is_open_read", "openat3) and evt.is_open_read"},
		{"Ledger Read", "in (open, openat, openat2)", "in (open)"},
		{"Ledger Read", "is_open_read=true", "is_open_read=false"},
		{"Ledger Read", "startswith /etc/ledger/", "startswith /etc/ledgers/"},
		{"Ledger Read", "startswith /etc/ledger/", "endswith /etc/ledger/"},
		{"Ledger Read", "not proc.name in (accountant, auditor)", "not proc.name in (auditor)"},
		{"Ledger Read", "not proc.name in (accountant, auditor)", "not proc.name in (accountant, cat)"},
		{"Ledger Read", "priority: WARNING\n  tags: [ledger", "priority: NOTICE\n  tags: [ledger"},
		{"Ledger Read", "tags: [ledger, T1005]", "tags: [T1005]"},
		{"Ledger Read", "process=%proc.name parent", "program=%proc.name parent"},
		{"Ledger Linked", "evt.type in (link, linkat)", "evt.type in (link)"},
		{"Ledger Linked", "evt.rawres=0", "evt.rawres<0"},
		{"Ledger Linked", "evt.rawres=0 and ", ""},
		{"Ledger Linked", "evt.arg.oldpath startswith", "evt.arg.newpath startswith"},
		{"Odd Port", "evt.type=connect", "evt.type=accept"},
		{"Odd Port", "fd.l4proto=tcp", "fd.l4proto=udp"},
		{"Odd Port", "proc.name=ledgerd and fd.sport", "proc.name=ledger and fd.sport"},
		{"Odd Port", "fd.sport!=7070", "fd.sport=7070"},
		{"Odd Port", " and fd.sport!=7070", ""},
		{"Shell Below Ledger", "proc.aname=ledgerd", "proc.aname=ledger"},
		{"Program From Memory", "proc.is_exe_from_memfd=true", "proc.is_exe_from_memfd=false"},
		{"Clerk Gave Away", "user.name=clerk", "user.name=root"},
		{"Secret Read by Eve", "ka.verb=get", "ka.verb=list"},
		{"Secret Read by Eve", "ka.verb=get and ", ""},
		{"Secret Read by Eve", "ka.user.name=eve", "ka.user.name=adam"},
	} {
		t.Run(m.rule+"/"+segment(m.broken), func(t *testing.T) {
			if !strings.Contains(string(rules), m.old) {
				t.Fatalf("%q is not in the rules", m.old)
			}
			text := strings.Replace(string(rules), m.old, m.broken, 1)
			if strings.Contains(m.broken, "openat3") {
				text = strings.Replace(string(rules), "evt.type in (open, openat, openat2)", "evt.type in (open, openat)", 1)
			}
			file := filepath.Join(t.TempDir(), "rules.yaml")
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			s := Start(t, WithRules(file), WithTestFiles("testdata/testfiles/rules_falcotest.yaml"), func(c *settings) { c.onlyFiles = true })
			var mu sync.Mutex
			var all sync.WaitGroup
			failed, verified := []*Result{}, 0
			for _, sel := range s.chosen {
				if sel.RuleName() != m.rule {
					continue
				}
				all.Go(func() {
					r := s.run(t.Context(), sel)
					mu.Lock()
					defer mu.Unlock()
					if r.Outcome != Skipped {
						verified++
					}
					if r.Outcome == Missed || r.Outcome == Unexpected {
						failed = append(failed, r)
					}
				})
			}
			all.Wait()
			switch {
			case verified == 0:
				t.Skip("none of the rule's tests can run here")
			case len(failed) == 0:
				t.Errorf("none of %d tests noticed", verified)
			default:
				if text := failed[0].message(""); !strings.Contains(text, failed[0].Test) {
					t.Errorf("the message does not name the test:\n%s", text)
				}
			}
		})
	}
}
