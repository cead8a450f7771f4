// SPDX-License-Identifier: Apache-2.0

package falcotest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/falcotest"
)

func init() {
	open := func(name string) events.Action {
		return func(h events.Helper) error {
			f, err := os.OpenFile(filepath.Join(os.TempDir(), name), os.O_CREATE|os.O_WRONLY, 0o600)
			if err != nil {
				return err
			}
			return f.Close()
		}
	}
	events.RegisterWithName(open("falcotest-told"), "expecting.FileMade")
	events.RegisterWithName(open("falcotest-excused"), "expecting.FileMadeElsewhere", events.NearMiss("expecting.FileMade", "the file has another name"))
}

const expectingRules = `
- rule: File Made
  desc: A file is made.
  condition: evt.type in (open, openat, openat2) and fd.name endswith /%s and evt.is_open_write=true
  output: made (file=%%fd.name)
  priority: WARNING
  tags: [files]
- rule: Never
  desc: A disabled rule.
  condition: evt.type=openat
  output: opened (file=%%fd.name)
  priority: NOTICE
  enabled: false
`

func rulesFile(t *testing.T, name string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, expectingRules, name), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestExpectations says in Go what an action's alert is like, and runs its near
// miss.
func TestExpectations(t *testing.T) {
	falcotest.Run(t, falcotest.WithRules(rulesFile(t, "falcotest-told")), falcotest.WithActions("expecting.FileMade"),
		falcotest.WithExpectation("expecting.FileMade", falcotest.Expect("File Made").Priority("warning").Tag("files").
			Field("fd.name", falcotest.HasSuffix("/falcotest-told")).Field("evt.type", falcotest.Matches("^open")).Count(1)))
}

func TestSilent(t *testing.T) {
	made := rulesFile(t, "falcotest-told")
	s := falcotest.Start(t, falcotest.WithRules(made), falcotest.WithActions("expecting.FileMade"))
	s.Silent(t, "expecting.FileMadeElsewhere", "File Made")
	told := falcotest.Expect("File Made").Output(falcotest.Contains("made")).AtLeast("notice").Source("syscall")
	told.Check(t, s.Trigger(t, "expecting.FileMade"))

	for _, test := range []struct {
		name string
		run  func(t testing.TB)
		want string
	}{
		{"fires", func(t testing.TB) { s.Silent(t, "expecting.FileMade", "File Made") }, `unexpected: the rule "File Made" fired, and must not`},
		{"not loaded", func(t testing.TB) { s.Silent(t, "expecting.FileMade", "File Mede") }, `did you mean File Made?`},
		{"disabled", func(t testing.TB) { s.Silent(t, "expecting.FileMade", "Never") }, "is disabled"},
		{"otherwise", func(t testing.TB) {
			told.Field("fd.name", falcotest.Equals("/x")).Check(t, s.Trigger(t, "expecting.FileMade"))
		}, `- fd.name = "/x"`},
		{"unknown field", func(t testing.TB) {
			falcotest.Start(t, falcotest.WithRules(made), falcotest.WithActions("expecting.FileMade"),
				falcotest.WithExpectation("expecting.FileMade", falcotest.Expect("").Field("fd.nmae", falcotest.Exists())))
		}, `unknown field "fd.nmae", did you mean "fd.name"?`},
		{"no rule", func(t testing.TB) { falcotest.Expect("").Check(t, nil) }, "it names no rule"},
		{"no expectation", func(t testing.TB) { falcotest.Expectation{}.Check(t, nil) }, "it names no rule"},
		{"no field", func(t testing.TB) { told.Field("", falcotest.Exists()).Check(t, nil) }, "a field has no name"},
		{"no text", func(t testing.TB) { told.Output(falcotest.OneOf()).Check(t, nil) }, "OneOf names no text"},
		{"no expression", func(t testing.TB) { told.Output(falcotest.Matches("(")).Check(t, nil) }, "missing closing )"},
		{"no number", func(t testing.TB) { falcotest.Expect("File Made").Count(-1).Check(t, nil) }, "there cannot be -1 alerts"},
		{"no alert", func(t testing.TB) { falcotest.Expect("File Made").Check(t, []*falcotest.Alert{nil}) }, `the rule "File Made" did not fire`},
		{"no priority", func(t testing.TB) { told.Priority("loud").Check(t, nil) }, `unknown priority "loud"`},
	} {
		r := &failing{TB: t}
		func() {
			defer func() { recover() }()
			test.run(r)
		}()
		if got := strings.Join(r.said, "\n"); !strings.Contains(got, test.want) {
			t.Errorf("%s: got %q, want %q in it", test.name, got, test.want)
		}
	}
}

// failing keeps what a test would say when it fails.
type failing struct {
	testing.TB
	said []string
}

func (f *failing) Helper()           {}
func (f *failing) Error(args ...any) { f.said = append(f.said, fmt.Sprint(args...)) }
func (f *failing) Fatal(args ...any) { f.Error(args...); panic("failed") }
func (f *failing) Fatalf(format string, args ...any) {
	f.Error(fmt.Sprintf(format, args...))
	panic("failed")
}
