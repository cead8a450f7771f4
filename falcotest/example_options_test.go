// SPDX-License-Identifier: Apache-2.0

package falcotest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/falcotest/go-falcotest/falcotest"
)

// A Falco that is started for the run judges, with the rules under test and two
// plugins.
func ExampleWithFalco() {
	options := []falcotest.Option{
		falcotest.WithFalco("exec:///usr/bin/falco"),
		falcotest.WithExec(falcotest.Exec{
			Engine:  "kmod",
			Options: []string{"base_syscalls.repair=true"},
			Rules:   []string{"rules/lists.yaml"},
			Plugins: []string{
				"k8saudit=/opt/plugins/libk8saudit.so,http://127.0.0.1:9765/k8s-audit",
				"json=/opt/plugins/libjson.so",
			},
		}),
		falcotest.WithTimeout(30 * time.Second),
		falcotest.WithMinCorrelation("process"),
		falcotest.WithRuleMatching("first"),
	}
	TestRules := func(t *testing.T) { falcotest.Run(t, options...) }
	_ = TestRules
	// Output:
}

// How the actions run.
func ExampleWithParallel() {
	options := []falcotest.Option{
		falcotest.WithParallel(2), falcotest.WithRetries(0), falcotest.WithActionDeadline(time.Minute),
		falcotest.WithEnv("LANG=C"), falcotest.WithHermetic(true),
		falcotest.WithContainerEngine("podman"), falcotest.WithImage("example.org/actions:1"),
		falcotest.WithDisabledActions(), falcotest.WithStrict(), falcotest.WithTestFiles("tests/*.yaml"),
	}
	fmt.Println(len(options), "options")
	// Output: 10 options
}

// A gate for pull requests: what was detected must be, of the rules that changed, and
// the reports say which clauses no test needs.
func ExampleWithBaseline() {
	options := []falcotest.Option{
		falcotest.WithBaseline("testdata/falcotest.golden"),
		falcotest.WithChangedSince("origin/main"),
		falcotest.WithMinCoverage(0.9), falcotest.WithCoverage(), falcotest.WithMutations(),
		falcotest.WithReport("falco.html", "falco.sarif"), falcotest.WithTerminal(false),
		falcotest.WithRecord("recordings"),
	}
	TestRules := func(t *testing.T) { falcotest.Run(t, options...) }
	_ = TestRules
	// Output:
}

// The actions work on a cluster of one's own, which sends its audit events here.
func ExampleWithKubernetes() {
	TestRules := func(t *testing.T) {
		falcotest.Run(t, falcotest.WithActions(`k8saudit\..*`), falcotest.WithKubernetes(falcotest.Kubernetes{
			Context: "kind-test", Namespace: "falcotest", CreateNamespace: true,
			AuditListen: "https://0.0.0.0:9765?cert=server.crt&key=server.key",
		}))
	}
	_ = TestRules
	// Output:
}

// What an action is expected to cause, in place of any alert of its rule.
func ExampleWithExpectation() {
	want := falcotest.Expect("Read sensitive file untrusted").Source("syscall").AtLeast("warning").Count(1).
		Field("fd.name", falcotest.Equals("/etc/shadow")).
		Field("proc.cmdline", falcotest.HasPrefix("cat ")).
		Field("proc.exepath", falcotest.HasSuffix("/cat")).
		Field("user.name", falcotest.Exists()).
		Field("proc.pname", falcotest.Matches("(ba)?sh")).
		Output(falcotest.Contains("/etc/shadow"))
	option := falcotest.WithExpectation("syscall.ReadSensitiveFileUntrusted", want)
	fmt.Println(option != nil)
	// Output: true
}

// An expectation is checked against any alerts.
func ExampleExpectation_Check() {
	alerts := []*falcotest.Alert{{Rule: "Ledger Read", Priority: falcotest.PriorityNotice, Fields: map[string]any{"fd.name": "/etc/ledger"}}}
	falcotest.Expect("Ledger Read").Field("fd.name", falcotest.Equals("/etc/ledger")).Check(new(testing.T), alerts)
	fmt.Println(alerts[0].Priority, alerts[0].Fields["fd.name"])
	// Output: Notice /etc/ledger
}

func ExampleAlert_Field() {
	a := falcotest.Alert{Rule: "Ledger Read", Fields: map[string]any{"proc.pid": 4711.0, "container.name": nil}}
	pid, _ := a.Field("proc.pid")
	_, known := a.Field("container.name")
	fmt.Println(pid, known)
	// Output: 4711 false
}

func ExamplePriority() {
	fmt.Println(falcotest.PriorityWarning.String(), falcotest.PriorityWarning < falcotest.PriorityNotice)
	// Output: Warning true
}

// Recordings are judged on any system, without privileges.
func ExampleReplay() {
	TestIncidents := func(t *testing.T) { falcotest.Replay(t, "incidents/*.scap") }
	TestIncident := func(t *testing.T) {
		var p *falcotest.Replayed = falcotest.ReplayFile(t, "incidents/shadow.scap", falcotest.WithRules("rules/*.yaml"))
		p.Fires(t, "Read sensitive file untrusted", falcotest.Expected{Count: 1, OutputFields: map[string]string{"proc.name": "cat"}})
		p.Silent(t, "Write below etc")
	}
	_, _ = TestIncidents, TestIncident
	// Output:
}

// What a recording must be seen for, and what not, in Go.
func ExampleReplayFile() {
	TestIncident := func(t testing.TB) {
		incident := falcotest.ReplayFile(t, "../examples/captures/testdata/incident.scap", falcotest.WithRules("../examples/captures/rules/*.yaml"))
		incident.Fires(t, "Accounts read after an intrusion", falcotest.Expected{Count: 1, OutputFields: map[string]string{"fd.name": "/etc/shadow"}})
		for _, a := range incident.Alerts {
			fmt.Println(a.Priority, a.Rule)
		}
		daily := falcotest.ReplayFile(t, "../examples/captures/testdata/rotation.scap", falcotest.WithRules("../examples/captures/rules/*.yaml"))
		daily.Silent(t, "Accounts read after an intrusion")
	}
	TestIncident(example{}) // which go test does
	// Output:
	// Critical Shell of a web server
	// Critical Accounts read after an intrusion
}

// example is the test that an example has none of.
type example struct{ testing.TB }

func (example) Helper()                      {}
func (example) Context() context.Context     { return context.Background() }
func (example) Errorf(f string, args ...any) { fmt.Printf(f+"\n", args...) }
func (example) Fatal(args ...any)            { fmt.Println(args...); runtime.Goexit() }

// Recorded audit events are judged without a cluster.
func ExampleAuditEvents() {
	TestAudit := func(t *testing.T) {
		for _, a := range falcotest.AuditEvents(t, "audit.log", falcotest.WithRules("rules/*.yaml")) {
			t.Log(a.Priority, a.Output)
		}
	}
	_ = TestAudit
	// Output:
}

// How long an alert takes.
func ExampleBenchmark() {
	BenchmarkShell := func(b *testing.B) { falcotest.Benchmark(b, "syscall.RunShellUntrusted") }
	_ = BenchmarkShell
	// Output:
}

// A session runs single actions; Do fails no test.
func ExampleSession_Do() {
	TestOne := func(t *testing.T) {
		s := falcotest.Start(t)
		s.Detects(t, "syscall.ClearLogActivities")
		r := s.Do(context.Background(), "syscall.RunShellUntrusted")
		if r.Outcome == falcotest.Missed {
			t.Log(r.Rule, r.Position, r.Why)
		}
	}
	_ = TestOne
	// Output:
}

// A result says which rule would keep another from alerting by Falco's default.
func ExampleResult() {
	r := falcotest.Result{
		Action: "syscall.ReadSensitiveFileUntrusted", Outcome: falcotest.Detected,
		Shadow: &falcotest.Shadow{Rule: "Read any file", Position: falcotest.Position{File: "rules.yaml", Line: 3}},
	}
	fmt.Println(r.Outcome, r.Shadow.String())
	// Output: detected "Read any file" (rules.yaml:3)
}

func ExampleOutcome_MarshalText() {
	text, err := falcotest.TriggerFailed.MarshalText()
	fmt.Println(string(text), err)
	b, _ := json.Marshal(map[string]falcotest.Outcome{"outcome": falcotest.Missed})
	fmt.Println(string(b))
	// Output:
	// trigger failed <nil>
	// {"outcome":"missed"}
}

// Main is called by TestMain with its *testing.M.
func ExampleMain() {
	TestMain := func(m *testing.M) { falcotest.Main(m) }
	var _ falcotest.TestingM = (*testing.M)(nil)
	_ = TestMain
	// Output:
}

// The same tests on each node of a cluster, judged by the node's own Falco.
func ExampleWithNodes() {
	options := []falcotest.Option{
		falcotest.WithFalco("unix:///run/falco/falco.sock"),
		falcotest.WithNodes(falcotest.Nodes{
			Selector: "kubernetes.io/os=linux", Image: "registry.example/rules:tests", Profile: "privileged",
		}),
	}
	fmt.Println(len(options), "options")
	// Output: 2 options
}

// Matchers say what a text is like.
func ExampleMatcher() {
	var kinds []falcotest.Matcher
	kinds = append(kinds, falcotest.OneOf("sh", "bash"), falcotest.Matches("[a-z]+"))
	var e falcotest.Expectation = falcotest.Expect("Run shell untrusted").Priority("Notice").Tag("shell")
	for _, m := range kinds {
		e = e.Field("proc.name", m)
	}
	fmt.Println(len(kinds))
	// Output: 2
}
