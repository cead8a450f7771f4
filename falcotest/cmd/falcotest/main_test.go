// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/source"
	"github.com/falcotest/go-falcotest/internal/testfile"
)

func TestVerbs(t *testing.T) {
	var out, problems strings.Builder
	call := func(args ...string) int { return run(t.Context(), args, &out, &problems) }
	if code := call("schema"); code != 0 || !json.Valid([]byte(out.String())) {
		t.Errorf("the schema is no JSON: %d %s", code, problems.String())
	}
	out.Reset()
	file := filepath.Join(t.TempDir(), "all.md")
	if code := call("report", "-o", file, "../../../internal/report/testdata/report.json"); code != 0 {
		t.Error(problems.String())
	}
	if b, err := os.ReadFile(file); err != nil || !strings.Contains(string(b), "### Falco rules: 2 detected") {
		t.Errorf("the merged report: %v\n%s", err, b)
	}
	if code := call("report", "-o", "x.pdf", "../../../internal/report/testdata/report.json"); code != 1 || !strings.Contains(problems.String(), "does not end in any of") {
		t.Errorf("a report of an unknown kind: %d %s", code, problems.String())
	}
	out.Reset()
	if code := call("explain", "../../../examples/testfiles/rules/payroll_falcotest.yaml"); code != 0 {
		t.Error(problems.String())
	}
	if want := `expects that "Payroll Sent Away" fires`; !strings.Contains(out.String(), want) {
		t.Errorf("got %q", out.String())
	}
	if code := call("explane"); code != 2 || !strings.Contains(problems.String(), `there is no verb "explane"`) {
		t.Errorf("got %d and %q", code, problems.String())
	}
}

// A repository of rules gets what it lacks, and loses nothing.
func TestInit(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("rules/rules.yaml", `
- rule: Ledger Read
  desc: x
  condition: evt.type=openat and fd.name startswith /srv/ledger/ and proc.name=cat and not proc.pname=sh
  output: x (file=%fd.name)
  priority: NOTICE
- rule: Clear Log Activities
  desc: there is an action for it
  condition: evt.type=openat and fd.name=/x
  output: x
  priority: NOTICE
`)
	write("rules_test.go", "package mine\n")
	var out strings.Builder
	if run(t.Context(), []string{"init", dir}, &out, &out) != 0 {
		t.Fatal(out.String())
	}
	for _, want := range []string{"wrote  go.mod", "kept   rules_test.go", "wrote  rules/ledger_read_falcotest.yaml", "wrote  .github/workflows/falcotest.yml"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	if names, _ := filepath.Glob(filepath.Join(dir, "rules", "*_falcotest.yaml")); len(names) != 1 {
		t.Errorf("the drafts are %q", names)
	}
	draft, err := os.ReadFile(filepath.Join(dir, "rules", "ledger_read_falcotest.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`{name: "cat"}`, `filePath: "/srv/ledger/file"`, "draft:"} {
		if !strings.Contains(string(draft), want) {
			t.Errorf("%q is not in\n%s", want, draft)
		}
	}
	if strings.Contains(string(draft), `"sh"`) {
		t.Errorf("what is excluded is in the draft:\n%s", draft)
	}
	// The draft can be read, and another run changes nothing.
	out.Reset()
	if run(t.Context(), []string{"explain", filepath.Join(dir, "rules", "ledger_read_falcotest.yaml")}, &out, &out) != 0 {
		t.Error(out.String())
	}
	out.Reset()
	if code := run(t.Context(), []string{"init", dir}, &out, &out); code != 0 || strings.Contains(out.String(), "wrote") {
		t.Errorf("the second time: %d\n%s", code, out.String())
	}
}

func TestManifest(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		code int
		want []string
	}{
		"all":      {[]string{"-falco", "http://0.0.0.0:2801/s"}, 0, []string{"kind: ClusterRole", "kind: Job", "# falco:\n#   json_output: true"}},
		"rights":   {[]string{"-driver", "ServiceAccount:ci/gate", "-driver", "User:eve@example.org", "rights"}, 0, []string{"name: gate\n  namespace: ci", "name: eve@example.org"}},
		"values":   {[]string{"-falco", "unix:///run/falco/falco.sock", "values"}, 0, []string{"    - rule: Falcotest Sentinel", "\nfalco:\n  grpc:\n", "bind_address: unix:///run/falco/falco.sock"}},
		"a driver": {[]string{"-driver", "gate"}, 2, []string{"want User:NAME"}},
		"a part":   {[]string{"right"}, 1, []string{`there is no part "right": want rights, run, values`}},
		"a judge":  {[]string{"-falco", "exec:"}, 1, []string{`the judge "exec:" of nodes: want unix:///run/falco/falco.sock`}},
		"nobody":   {[]string{"-create-namespace"}, 1, []string{"say who drives it (-driver)"}},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			if code := run(t.Context(), append([]string{"manifest"}, test.args...), &out, &out); code != test.code {
				t.Errorf("it ended with %d", code)
			}
			for _, want := range test.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%q is not in\n%s", want, out.String())
				}
			}
		})
	}
}

// The draft for a rule does what its condition is about, and can be read.
func TestDrafts(t *testing.T) {
	for condition, want := range map[string][]string{
		"evt.type in (open, openat) and evt.is_open_write=true and fd.name startswith /srv/": {"O_WRONLY|O_CREAT", `pathname: "/srv/file"`},
		"evt.type=openat and fd.name=/etc/x":                                                 {"O_RDONLY", `filePath: "/etc/x"`},
		"evt.type=execve and container.id!=host and proc.name=nc":                            {"container: {}", `{name: "nc"}`},
		"evt.type=execve and not container.id=host and proc.args contains -e":                {"container: {}"},
		"evt.type=execve and container.id=host and proc.pname=sshd":                          {`[{name: "sshd"}, {}]`},
		"evt.type=connect and fd.sport=4444 and proc.name=curl":                              {`"203.0.113.10:4444"`, `{name: "curl"}`},
		"evt.type=setuid and user.name!=root":                                                {"syscall: setuid, args: {uid: 0}"},
		"evt.type=fchmod and evt.rawres=0":                                                   {`fd: "${target.fd}"`, "subtype: file"},
		"evt.type=sendto":                                                                    {`syscall: sendto, args: {fd: "${target.fd}"`},
		"evt.type=bind":                                                                      {"syscall: bind"},
		"evt.type=ptrace":                                                                    {"syscall: ptrace"},
		"evt.type=mount":                                                                     {"syscall: mount"},
		"evt.type=bpf":                                                                       {"syscall: bpf"},
		"proc.name=cat":                                                                      {"syscall: openat", `{name: "cat"}`},
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "rules.yaml")
		text := "- rule: R\n  desc: d\n  condition: >\n    " + condition + "\n  output: o\n  priority: NOTICE\n"
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		set, err := rules.Load(t.Context(), []string{file}, rules.Options{Sources: source.Fields()})
		if err != nil {
			t.Fatal(err)
		}
		got := draft(set.Rules[0])
		for _, part := range want {
			if !strings.Contains(got, part) {
				t.Errorf("%s: %q is not in\n%s", condition, part, got)
			}
		}
		if strings.Contains(condition, "id=host and proc.pname") && strings.Contains(got, "container: {}") {
			t.Errorf("%s: the draft runs in a container", condition)
		}
		tests := filepath.Join(dir, "r_falcotest.yaml")
		if err := os.WriteFile(tests, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := testfile.Load(tests); err != nil {
			t.Errorf("%s: %v\n%s", condition, err, got)
		}
	}
}
