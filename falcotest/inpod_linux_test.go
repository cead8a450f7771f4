// SPDX-License-Identifier: Apache-2.0

package falcotest_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/falcotest"
	"github.com/falcotest/go-falcotest/internal/nodes/lines"
)

// inPodURL is where the actions below say what the Falco of a node would, and inPodHost
// the name that it gives its host.
const (
	inPodURL  = "IN_POD_URL"
	inPodHost = "IN_POD_HOST"
)

var (
	_ = events.RegisterWithName(inPod("Opens One", "/etc/hostname"), "pod.OpensOne", events.WithDisabled())
	_ = events.RegisterWithName(inPod("Opens Two", "/etc/hosts"), "pod.OpensTwo", events.WithDisabled())
)

func inPod(rule, file string) events.Action {
	return func(h events.Helper) error {
		if _, err := os.ReadFile(file); err != nil {
			return err
		}
		url := os.Getenv(inPodURL)
		if url == "" {
			return nil
		}
		fields := map[string]any{"proc.pid": os.Getpid(), "proc.name": "x"}
		if os.Getenv("IN_POD_ID") != "" {
			fields["proc.env[FALCOTEST_ID]"] = os.Getenv("FALCOTEST_ID")
		}
		body, err := json.Marshal(map[string]any{"time": time.Now().UTC().Format(time.RFC3339Nano), "rule": rule, "priority": "Notice",
			"source": "syscall", "hostname": os.Getenv(inPodHost), "output": "seen", "output_fields": fields})
		if err != nil {
			return err
		}
		resp, err := http.Post(url, "application/json", bytes.NewReader(body))
		if err != nil {
			return err
		}
		return resp.Body.Close()
	}
}

const inPodRules = `
- rule: Opens One
  desc: d
  condition: evt.type in (open, openat, openat2) and fd.name = /etc/hostname
  output: o
  priority: NOTICE
- rule: Opens Two
  desc: d
  condition: evt.type in (open, openat, openat2) and fd.name = /etc/hosts
  output: o
  priority: NOTICE
`

// TestPodRules is what runs in the pods of the next test.
func TestPodRules(t *testing.T) {
	file := os.Getenv("IN_POD_RULES")
	if file == "" {
		t.Skip("it runs in the pods of TestInPod")
	}
	falcotest.Run(t, falcotest.WithRules(file), falcotest.WithActions("pod.OpensOne"), falcotest.WithDisabledActions())
	falcotest.Run(t, falcotest.WithRules(file), falcotest.WithActions("pod.OpensOne", "pod.OpensTwo"), falcotest.WithDisabledActions(),
		falcotest.WithBaseline("none"), falcotest.WithCoverage(), falcotest.WithReport("none.json"),
		falcotest.WithNodes(falcotest.Nodes{Selector: "all"}))
	t.Setenv("FALCOTEST_RULES", file)
	falcotest.RunFiles(t, os.Getenv("IN_POD_TESTS"))
}

const inPodTests = `
tests:
  - name: opens_it
    rule: Opens One
    steps: [{type: syscall, name: open, syscall: openat, args: {pathname: /etc/hostname, flags: O_RDONLY}}]
  - name: opens_another
    rule: Opens One
    steps: [{type: syscall, name: open, syscall: openat, args: {pathname: /etc/hosts, flags: O_RDONLY}}]
    expectedOutcome: {fires: false}
`

// A test binary that is told to be in a pod tells its driver of each result, and what
// is wrong with the node's Falco once.
func TestInPod(t *testing.T) {
	rules := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(rules, []byte(inPodRules), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := filepath.Join(t.TempDir(), "tests.yaml")
	if err := os.WriteFile(tests, []byte(inPodTests), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(t.TempDir(), "broken.yaml")
	if err := os.WriteFile(broken, []byte("- rule: x\n  condition: nosuch.field = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	both := []string{"pod.OpensOne detected", "pod.OpensTwo detected"}
	for _, test := range []struct {
		name    string
		ask     lines.Ask
		env     []string
		want    []string // results
		problem string
		deaf    bool
	}{
		{name: "builtin", want: both},
		{name: "tests of files", ask: lines.Ask{Call: 3}, want: []string{"Opens One/opens_another silent", "Opens One/opens_it detected"}},
		{name: "a test of a file", ask: lines.Ask{Call: 3, Run: "TestPodRules/worker-1/Opens_One/opens_it$"}, want: []string{"Opens One/opens_it detected"}},
		{name: "the first call", ask: lines.Ask{Call: 1}, want: both[:1]},
		{name: "selected", ask: lines.Ask{Run: "TestPodRules/worker-./.*Two$"}, want: both[1:]},
		{name: "another node selected", ask: lines.Ask{Run: "TestPodRules/worker-9"}},
		{name: "skipped", ask: lines.Ask{Skip: "TestPodRules/.*/.*One"}, want: both[1:]},
		{name: "rules that changed", ask: lines.Ask{Only: true, Rules: []string{"Opens Two"}}, want: both[1:]},
		{name: "rules that do not load", env: []string{"IN_POD_RULES=" + broken}, problem: "the rules do not load"},
		{name: "by HTTP", env: []string{inPodURL, "IN_POD_ID=1", inPodHost + "=worker-1"}, want: both},
		{name: "by HTTP, by its domain's name", env: []string{inPodURL, inPodHost + "=worker-1", "NODE_NAME=worker-1.example"}, want: []string{"pod.OpensOne detected", "pod.OpensTwo detected"}},
		{name: "of another host", env: []string{inPodURL, inPodHost + "=worker-2"}, problem: "alerts came of other hosts alone: worker-2", deaf: true},
		{name: "deaf", env: []string{"no alerts"}, problem: "does not answer: no alert came", deaf: true},
		{name: "no socket", env: []string{"FALCOTEST_FALCO=unix:///nonexistent/falco.sock"}, problem: "reaching the Falco that judges"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ask := test.ask
			ask.Test = "TestPodRules"
			if ask.Call == 0 {
				ask.Call = 2
			}
			data, err := json.Marshal(ask)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestPodRules$", "-test.count=1")
			cmd.Env = append(os.Environ(), "IN_POD_RULES="+rules, "IN_POD_TESTS="+tests, "FALCOTEST_NODE_RUN=r1", "NODE_NAME=worker-1", "FALCOTEST_NODE_ASK="+string(data), "FALCOTEST_TIMEOUT=1s", "FALCOTEST_RETRIES=0")
			for _, kv := range test.env {
				if kv == inPodURL || kv == "no alerts" {
					url := freeURL(t)
					cmd.Env = append(cmd.Env, "FALCOTEST_FALCO="+url)
					if kv == inPodURL {
						cmd.Env = append(cmd.Env, inPodURL+"="+url)
					}
					continue
				}
				cmd.Env = append(cmd.Env, kv)
			}
			said, runErr := cmd.CombinedOutput()
			r := lines.NewReader("r1")
			var got []string
			var hello *lines.Hello
			var problem *lines.Problem
			var planned int
			for line := range strings.Lines(string(said)) {
				m, _, err := r.Line([]byte(strings.TrimSuffix(line, "\n")))
				switch {
				case err != nil:
					t.Fatalf("%v:\n%s", err, said)
				case m == nil:
				case m.Hello != nil:
					hello = m.Hello
				case m.Plan != nil:
					planned = len(m.Plan.Tests)
				case m.Result != nil:
					got = append(got, strings.Join(m.Result.Path, "/")+" "+m.Result.Row.Outcome)
				case m.Problem != nil:
					problem = m.Problem
				}
			}
			if hello == nil || hello.Binary == "" || !strings.HasPrefix(hello.Node, "worker-1") {
				t.Errorf("hello: %+v", hello)
			}
			slices.Sort(got)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%s\n%s", diff, said)
			}
			switch {
			case test.problem == "":
				if problem != nil || !r.Ended() || runErr != nil || planned != len(test.want) {
					t.Errorf("the problem %+v, %d planned, ended %v, %v:\n%s", problem, planned, r.Ended(), runErr, said)
				}
			case problem == nil || !strings.Contains(problem.Text, test.problem) || problem.Deaf != test.deaf:
				t.Errorf("the problem %+v, want %q:\n%s", problem, test.problem, said)
			}
		})
	}
}

// A pod that is told to end tells nothing of actions that this ended: their rules and the
// node's Falco have no part in it.
func TestPodToldToEnd(t *testing.T) {
	rules := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(rules, []byte(inPodRules), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestPodRules$", "-test.count=1")
	cmd.Env = append(os.Environ(), "IN_POD_RULES="+rules, "FALCOTEST_NODE_RUN=r1", "NODE_NAME=worker-1", `FALCOTEST_NODE_ASK={"test":"TestPodRules","call":2}`,
		"FALCOTEST_FALCO="+freeURL(t), "FALCOTEST_TIMEOUT=2m")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r, planned := lines.NewReader("r1"), false
	for in := bufio.NewScanner(out); in.Scan(); {
		m, _, err := r.Line(in.Bytes())
		switch {
		case err != nil:
			t.Fatal(err)
		case m == nil:
		case m.Plan != nil:
			planned = true
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		case m.Result != nil:
			t.Errorf("it told of %s: %s", m.Result.Row.Action, m.Result.Row.Outcome)
		case m.Problem != nil:
			t.Errorf("it told of a problem: %s", m.Problem.Text)
		}
	}
	if err := cmd.Wait(); err == nil || !planned || r.Ended() {
		t.Errorf("it ended with %v; planned %v, told to the end %v", err, planned, r.Ended())
	}
}

// freeURL is one that nobody listens at.
func freeURL(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return fmt.Sprintf("http://%s/secret", l.Addr())
}
