// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/result"
)

// mutation breaks one clause that a rule has, itself or in a macro.
type mutation struct{ rule, old, broken string }

// Whatever is broken in a rule that the files test, some case fails, and says
// which and why.
func TestFilesNoticeBrokenRules(t *testing.T) {
	rules, err := os.ReadFile("testdata/testfiles/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range []mutation{
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
		if testing.Short() && i%8 != 0 {
			continue
		}
		t.Run(m.rule+"/"+strings.ReplaceAll(m.broken, "/", "."), func(t *testing.T) {
			if !strings.Contains(string(rules), m.old) {
				t.Fatalf("%q is not in the rules", m.old)
			}
			text := strings.Replace(string(rules), m.old, m.broken, 1)
			if strings.Contains(m.broken, "openat3") {
				text = strings.Replace(string(rules), "evt.type in (open, openat, openat2)", "evt.type in (open, openat)", 1)
			}
			m.noticed(t, text, "testdata/testfiles/rules_falcotest.yaml")
		})
	}
}

// noticed runs the tests of the rule in files until one fails, and fails t if none
// does.
func (m mutation) noticed(t *testing.T, rules string, files string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte(rules), 0o644); err != nil {
		t.Fatal(err)
	}
	s := Start(t, WithRules(file), WithTestFiles(files), func(c *settings) { c.onlyFiles = true })
	var mu sync.Mutex
	var all sync.WaitGroup
	var failed *result.Result
	var passed []string
	queue := make(chan *plan.Action)
	for range s.s.Parallel() {
		all.Go(func() {
			for sel := range queue {
				r := s.s.Do(t.Context(), sel)
				mu.Lock()
				switch {
				case r.Outcome == result.Skipped:
				case r.Outcome != result.Missed && r.Outcome != result.Unexpected:
					passed = append(passed, fmt.Sprintf("%s: %s", r.Outcome, r.Message("")))
				case failed == nil:
					failed = r
				}
				mu.Unlock()
			}
		})
	}
	for _, sel := range s.run.Plan.Actions {
		mu.Lock()
		enough := failed != nil
		mu.Unlock()
		if enough {
			break
		}
		if sel.RuleName() == m.rule {
			queue <- sel
		}
	}
	close(queue)
	all.Wait()
	switch {
	case failed == nil && passed == nil:
		t.Skip("none of the rule's tests can run here")
	case failed == nil:
		t.Errorf("none of these %d tests noticed:\n%s", len(passed), strings.Join(passed, "\n"))
	default:
		if text := failed.Message(""); !strings.Contains(text, failed.Test) || !strings.Contains(text, failed.Case) {
			t.Errorf("the message does not name the test and its case:\n%s", text)
		}
	}
}

// Falco's own tests notice what is broken in Falco's own rules.
func TestFalcosFilesNoticeBrokenRules(t *testing.T) {
	dir := os.Getenv("FALCO_TESTDATA")
	if dir == "" {
		dir = "../../shared/falco"
	}
	rules, err := os.ReadFile(filepath.Join(dir, "rules", "falco_rules.yaml"))
	if err != nil {
		t.Skip("there are no rules of Falco's; FALCO_TESTDATA says where they are")
	}
	for i, m := range []mutation{
		{"Clear Log Activities", "evt.arg.flags contains \"O_TRUNC\"", "evt.arg.flags contains \"O_EXCL\""},
		{"Clear Log Activities", "evt.type in (open,openat,openat2) and evt.is_open_write=true", "evt.type in (open,openat) and evt.is_open_write=true"},
		{"Clear Log Activities", "evt.is_open_write=true", "evt.is_open_write=false"},
		{"Clear Log Activities", "and evt.arg.flags contains \"O_TRUNC\"", "and not evt.arg.flags contains \"O_TRUNC\""},
		{"Clear Log Activities", "fd.directory in (log_directories) or fd.filename", "fd.filename"},
		{"Create Hardlink Over Sensitive Files", "evt.type in (link, linkat)", "evt.type in (linkat)"},
		{"Create Hardlink Over Sensitive Files", "evt.arg.oldpath in", "evt.arg.newpath in"},
		{"Debugfs Launched in Privileged Container", "container.privileged=true\n    and proc.name=debugfs", "container.privileged=false\n    and proc.name=debugfs"},
		{"Debugfs Launched in Privileged Container", "proc.name=debugfs", "proc.name=debug"},
		{"Directory traversal monitored file read", "fd.name startswith /root/.ssh or", "fd.name startswith /root/.sh/ or"},
		{"Directory traversal monitored file read", "fd.name contains \"id_rsa\"", "fd.name contains \"id_dsa\""},
		{"Directory traversal monitored file read", "fd.nameraw contains '../'", "fd.name contains '../'"},
		{"Disallowed SSH Connection Non Standard Port", "proc.exe endswith ssh", "proc.exe endswith sshd"},
		{"Disallowed SSH Connection Non Standard Port", "and proc.exe endswith ssh\n    and fd.l4proto=tcp", "and proc.exe endswith ssh\n    and fd.l4proto=udp"},
		{"Execution from /dev/shm", "proc.exe startswith \"/dev/shm/\" or\n", "proc.exe startswith \"/dev/shm/x\" or\n"},
		{"Execution from /dev/shm", "proc.args startswith \"-c /dev/shm\"", "proc.args startswith \"-d /dev/shm\""},
		{"Execution from /dev/shm", "proc.args startswith \"-i /dev/shm\"", "proc.args startswith \"-d /dev/shm\""},
		{"Find AWS Credentials", "proc.name = \"find\" and", "proc.name = \"finds\" and"},
		{"Find AWS Credentials", "proc.args endswith \".aws/credentials\"", "proc.args startswith \".aws/credentials\""},
		{"Netcat Remote Code Execution in Container", "proc.cmdline contains \" -e\" or", "proc.cmdline contains \" -E\" or"},
		{"Netcat Remote Code Execution in Container", "proc.args contains \"--lua-exec\"", "proc.args contains \"--lua\" and proc.name = nc"},
		{"Read sensitive file untrusted", "(open,openat,openat2) and evt.is_open_read", "(openat,openat2) and evt.is_open_read"},
		{"Read sensitive file untrusted", "(open,openat,openat2) and evt.is_open_read", "(open,openat) and evt.is_open_read"},
		{"Read sensitive file untrusted", "and evt.is_open_read=true and fd.typechar='f'", "and evt.is_open_read=true and fd.typechar='d'"},
		{"Read sensitive file untrusted", "fd.directory in (/etc/sudoers.d, /etc/pam.d)", "fd.directory in (/etc/sudoers.d)"},
		{"Run shell untrusted", "proc.aname in (protected_shell_spawning_binaries)\n", "proc.aname in (gatekeeper)\n"},
		{"Run shell untrusted", "evt.type in (execve, execveat)", "evt.type in (execveat)"},
	} {
		if testing.Short() && i%8 != 0 {
			continue
		}
		t.Run(m.rule+"/"+strings.ReplaceAll(m.broken, "/", "."), func(t *testing.T) {
			if !strings.Contains(string(rules), m.old) {
				t.Fatalf("%q is not in the rules", m.old)
			}
			before, after, _ := strings.Cut(string(rules), "- rule: "+m.rule+"\n")
			if strings.Contains(strings.SplitN(after, "- rule: ", 2)[0], m.old) {
				after = strings.Replace(after, m.old, m.broken, 1)
			} else {
				before = strings.Replace(before, m.old, m.broken, 1)
			}
			m.noticed(t, before+"- rule: "+m.rule+"\n"+after, filepath.Join(dir, "evtgen_suite", "*.yaml"))
		})
	}
}
