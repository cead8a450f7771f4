// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
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
	for _, want := range []string{`{name: "cat"}`, `filePath: "/srv/ledger/draft"`, "draft:"} {
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

// tree writes files below a new folder.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// ruleNamed is a rules file of one rule.
func ruleNamed(name string) string {
	return fmt.Sprintf("- rule: %q\n  desc: x\n  condition: evt.type=chmod\n  output: x\n  priority: NOTICE\n", name)
}

// Whatever is there already, what is written fits in, can be read, and is kept later.
func TestInitRepositories(t *testing.T) {
	mod := "module example.org/rules\n"
	for name, test := range map[string]struct {
		files map[string]string
		want  []string          // of the output
		in    map[string]string // parts of files
	}{
		"nothing but rules": {map[string]string{"rules.yaml": ruleNamed("A rule")},
			[]string{"wrote  go.mod", "wrote  .gitlab-ci.yml", "wrote  a_rule_falcotest.yaml", "next: go mod tidy"},
			map[string]string{"rules_test.go": `WithRules(".")`, "go.mod": "tool github.com/falcotest/go-falcotest/falcotest/cmd/falcotest",
				".github/workflows/falcotest.yml": "permissions:\n  contents: read\n", "a_rule_falcotest.yaml": "# yaml-language-server: $schema=https://"}},
		"folders": {map[string]string{"rules/a.yaml": ruleNamed("A"), "rules/linux/b.yml": ruleNamed("B"), "rules/linux/c_falcotest.yaml": "tests: [{name: c, rule: B}]", "deploy/values.yaml": "a: b"},
			[]string{"wrote  rules/a_falcotest.yaml"}, map[string]string{"rules_test.go": `WithRules("rules", "rules/linux")`}},
		"other YAML": {map[string]string{"a.yaml": ruleNamed("A"), "compose.yaml": "services: {}"}, nil, map[string]string{"rules_test.go": `WithRules("a.yaml")`}},
		"odd names": {map[string]string{"r.yaml": ruleNamed("日本語") + ruleNamed("null") + ruleNamed("Null!") + ruleNamed("a \"b\" & \\ 100%")},
			[]string{"wrote  rule_falcotest.yaml", "wrote  null_falcotest.yaml", "wrote  null_2_falcotest.yaml", "wrote  a_b_100_falcotest.yaml"},
			map[string]string{"a_b_100_falcotest.yaml": `rule: "a \"b\" & \\ 100%"`}},
		"a module": {map[string]string{"go.mod": mod, "main.go": "package main\n", "rules/a.yaml": ruleNamed("A")},
			[]string{"kept   go.mod", "next: go get -tool "}, map[string]string{"rules_test.go": "package main_test"}},
		"a module with it": {map[string]string{"go.mod": mod + "tool " + module + "/falcotest/cmd/falcotest\n", "rules/a.yaml": ruleNamed("A")}, []string{"next: go mod tidy"}, nil},
		"another TestMain": {map[string]string{"x_test.go": "package x\n\nfunc TestMain() {}\n", "rules/a.yaml": ruleNamed("A")},
			[]string{"wrote  falcotest/rules_test.go"}, map[string]string{"falcotest/rules_test.go": `WithRules("../rules")`}},
		"a test that runs it": {map[string]string{"gate_test.go": "package x\n\nimport \"" + module + "/falcotest\"\n\nvar _ = falcotest.Run\n", "rules/a.yaml": ruleNamed("A")}, []string{"kept   gate_test.go"}, nil},
		"its own test":        {map[string]string{"rules_test.go": "package x\n", "rules/a.yaml": ruleNamed("A")}, []string{"rules_test.go is yours"}, nil},
		"GitLab":              {map[string]string{".gitlab-ci.yml": "stages: []\n", "rules/a.yaml": ruleNamed("A")}, []string{"kept   .gitlab-ci.yml", "add to it include:"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tree(t, test.files)
			var out strings.Builder
			if run(t.Context(), []string{"init", dir}, &out, &out) != 0 {
				t.Fatal(out.String())
			}
			for _, want := range test.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%q is not in\n%s", want, out.String())
				}
			}
			for file, part := range test.in {
				if data, err := os.ReadFile(filepath.Join(dir, file)); err != nil || !strings.Contains(string(data), part) {
					t.Errorf("%q is not in %s: %v\n%s", part, file, err, data)
				}
			}
			for file, content := range test.files {
				if data, err := os.ReadFile(filepath.Join(dir, file)); err != nil || string(data) != content {
					t.Errorf("%s was changed: %v\n%s", file, err, data)
				}
			}
			out.Reset()
			if run(t.Context(), []string{"init", dir}, &out, &out) != 0 || strings.Contains(out.String(), "wrote") {
				t.Errorf("the second time:\n%s", out.String())
			}
		})
	}
}

// What is wrong with a repository is told before anything is written.
func TestInitWritesNothing(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		want  string
	}{
		"no rules":     {map[string]string{"a.yaml": "services: {}"}, "there are no rules files"},
		"wrong rules":  {map[string]string{"a.yaml": strings.Replace(ruleNamed("A"), "chmod", "chmood", 1)}, "chmood"},
		"wrong tests":  {map[string]string{"a.yaml": ruleNamed("A"), "a_falcotest.yaml": "tests: [{nam: a}]"}, "did you mean name?"},
		"wrong Go":     {map[string]string{"a.yaml": ruleNamed("A"), "a.go": "pakage a"}, "reading the Go files"},
		"no such file": {nil, "there are no rules files"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tree(t, test.files)
			var out strings.Builder
			if run(t.Context(), []string{"init", dir}, &out, &out) != 1 || !strings.Contains(out.String(), test.want) {
				t.Errorf("%q is not in\n%s", test.want, out.String())
			}
			if entries, err := os.ReadDir(dir); err != nil || len(entries) != len(test.files) {
				t.Errorf("there are %v, %v", entries, err)
			}
		})
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
		"evt.type in (open, openat) and evt.is_open_write=true and fd.name startswith /srv/": {"O_WRONLY|O_CREAT", `pathname: "/srv/draft"`},
		"evt.type=openat and fd.name=/etc/x":                                                 {"O_RDONLY", `filePath: "/etc/x"`},
		"evt.type=execve and container.id!=host and proc.name=nc":                            {"container: {}", `{name: "nc"}`},
		"evt.type=execve and not container.id=host and proc.args contains -e":                {"container: {}"},
		"evt.type=execve and container.id=host and proc.pname=sshd":                          {`[{name: "sshd"}, {}]`},
		"evt.type=connect and fd.sport=4444 and proc.name=curl":                              {`"203.0.113.10:4444"`, `{name: "curl"}`},
		"evt.type=setuid and user.name!=root":                                                {"syscall: setuid, args: {uid: 0}"},
		"evt.type=fchmod and evt.rawres=0":                                                   {`fd: "${target.fd}"`, "subtype: file"},
		"evt.type=sendto":                                                                    {`syscall: sendto, args: {fd: "${net.client.fd}"`, "l4Proto: udp4"},
		"evt.type=recvfrom":                                                                  {"MSG_DONTWAIT", "expectError: EAGAIN"},
		"evt.type in (accept, connect) and fd.l4proto=udp":                                   {"type: clientServer", "udp4"},
		"evt.type=chmod and evt.arg.mode contains S_ISUID":                                   {"mode: S_ISUID", "subtype: file"},
		"evt.type in (rename, renameat) and evt.arg.newpath startswith /srv/":                {`oldPath: "/tmp/falcotest-draft/draft"`, `newPath: "/srv/draft"`},
		"evt.type=openat and fd.directory=/srv and fd.filename=key":                          {`pathname: "/srv/key"`},
		"evt.type=openat and fd.name glob /srv/*/key":                                        {`pathname: "/srv/x/key"`},
		"evt.type=openat and fd.name regex ^/srv/.*$":                                        {"fd.name: regex ^/srv/.*$", `pathname: "/tmp/falcotest-draft/draft"`},
		"evt.type=execve and proc.exepath startswith /dev/shm and user.name=nobody":          {`exePath: "/dev/shm/draft"`, `user: "nobody"`},
		"evt.type=socket and evt.arg.domain=AF_PACKET":                                       {"domain: AF_PACKET"},
		"evt.type=ptrace and evt.arg.request=PTRACE_ATTACH":                                  {"request: PTRACE_ATTACH", `pid: "${process.pid}"`, "type: process"},
		"evt.type=bind":   {"syscall: bind"},
		"evt.type=ptrace": {"syscall: ptrace"},
		"evt.type=mount":  {"syscall: mount"},
		"evt.type=bpf":    {"syscall: bpf"},
		"proc.name=cat":   {"syscall: openat", `{name: "cat"}`},
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
		got := draft(set.Rules[0], "r")
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
