// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/events/syscall"
	"github.com/falcotest/go-falcotest/falcotest"
)

var update = flag.Bool("update", false, "write "+resultsFile)

func TestMain(m *testing.M) { falcotest.Main(m) }

// withUpstreamRules loads the upstream rules, what two of them leave to their
// users, and further files after them.
func withUpstreamRules(t testing.TB, more ...string) falcotest.Option {
	t.Helper()
	dir := testdata(t)
	var files []string
	for _, file := range upstreamFiles {
		files = append(files, filepath.Join(dir, "rules", file))
	}
	files = append(files, filepath.Join("testdata", "customised_rules.yaml"))
	return falcotest.WithRules(append(files, more...)...)
}

// TestUpstreamRules runs every action against the rule that it is named after.
func TestUpstreamRules(t *testing.T) {
	falcotest.Run(t, withUpstreamRules(t), falcotest.WithDisabledActions())
}

// TestStableRules runs the actions of the stable rules as users do, with
// nothing but that file.
func TestStableRules(t *testing.T) {
	falcotest.Run(t, falcotest.WithRules(filepath.Join(testdata(t), "rules", upstreamFiles[0])))
}

// TestChangedRules changes the constant that each rule is about: no action may
// be detected any more.
func TestChangedRules(t *testing.T) {
	changed := filepath.Join("testdata", "changed_rules.yaml")
	s := falcotest.Start(t, withUpstreamRules(t, changed), falcotest.WithDisabledActions())
	for _, r := range doAll(t, s, actionNames()) {
		switch r.Outcome {
		case falcotest.Missed, falcotest.Skipped:
		default:
			t.Errorf("%s: %s, want missed %s", r.Action, r.Outcome, r.Reason)
		}
	}
}

// TestNearMisses does what comes close to a rule but is not what it means.
func TestNearMisses(t *testing.T) {
	rules, excuses := map[string]string{}, map[string]string{}
	stable := map[string]bool{}
	for _, rule := range upstreamRules(t) {
		if rule.File == upstreamFiles[0] {
			stable[rule.Rule] = true
		}
	}
	syscall.NearMisses(func(action, rule, excuse string) {
		rules[action], excuses[action] = rule, excuse
		delete(stable, rule)
	})
	for rule := range stable {
		t.Errorf("the stable rule %q has no near miss", rule)
	}
	s := falcotest.Start(t, withUpstreamRules(t), falcotest.WithDisabledActions())
	names := make([]string, 0, len(rules))
	for name := range rules {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, r := range doAll(t, s, names) {
		if r.Outcome == falcotest.TriggerFailed || r.Outcome == falcotest.Inconclusive {
			t.Errorf("%s: %s: %s", r.Action, r.Outcome, r.Reason)
		}
		for _, a := range r.Alerts {
			if a.Rule == rules[r.Action] {
				t.Errorf("the rule %q matched, although %s:\n%s", a.Rule, excuses[r.Action], a.Output)
			}
		}
	}
}

// actionNames returns the names of this package's actions, sorted.
func actionNames() []string {
	var names []string
	for name := range events.ByPackage("syscall") {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// doAll runs actions, several at a time, and returns their results in order.
func doAll(t *testing.T, s *falcotest.Session, names []string) []*falcotest.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	results := make([]*falcotest.Result, len(names))
	var wg sync.WaitGroup
	limit := make(chan struct{}, 8)
	for i, name := range names {
		wg.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			results[i] = s.Do(ctx, name)
		})
	}
	wg.Wait()
	return results
}

// resultsFile is the table of results, for people to read.
const resultsFile = "RESULTS.md"

// TestResults writes the table of results when asked to by -update, and
// otherwise checks that it has each rule with its action and its needs.
func TestResults(t *testing.T) {
	rules := upstreamRules(t)
	if !*update {
		table, err := os.ReadFile(resultsFile)
		if err != nil {
			t.Fatalf("%v (run this test with -update)", err)
		}
		var got, want []string
		for line := range strings.Lines(string(table)) {
			if cells := strings.Split(line, " | "); len(cells) == 6 && strings.HasPrefix(cells[2], "`") {
				got = append(got, strings.Join(cells[1:4], " | "))
			}
		}
		for _, rule := range rules {
			name := actionOf(t, rule.Rule)
			want = append(want, strings.Join([]string{rule.Rule, "`" + name + "`", needsOf(name)}, " | "))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s is not up to date, run this test with -update (-want +got):\n%s", resultsFile, diff)
		}
		return
	}

	s := falcotest.Start(t, withUpstreamRules(t), falcotest.WithDisabledActions())
	byName := map[string]*falcotest.Result{}
	outcomes := map[string]int{}
	started := time.Now()
	var judge string
	for _, r := range doAll(t, s, actionNames()) {
		byName[r.Action] = r
		outcomes[r.Outcome.String()]++
		judge = r.Judge
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `# Results

Every action against the upstream rule that it is named after. Written by

    go test ./events/syscall -run TestResults -update

as root, on %d processors, with a container engine. Judge: %s.
Two rules match nothing as they come: testdata/customised_rules.yaml has what
they leave to their users.

| File | Rule | Action | Needs | Outcome | Time |
| --- | --- | --- | --- | --- | --- |
`, cpus(), judge)
	for _, rule := range rules {
		name := actionOf(t, rule.Rule)
		r := byName[name]
		maturity := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(rule.File, "_rules.yaml"), "falco-"), "_rules.yaml")
		if maturity == "falco" {
			maturity = "stable"
		}
		fmt.Fprintf(&b, "| %s | %s | `%s` | %s | %s | %.2f s |\n",
			maturity, rule.Rule, name, needsOf(name), r.Outcome, r.Ran.Seconds())
	}
	fmt.Fprintf(&b, "\n")
	for _, outcome := range []falcotest.Outcome{falcotest.Detected, falcotest.Missed, falcotest.Skipped, falcotest.TriggerFailed, falcotest.Inconclusive} {
		if n := outcomes[outcome.String()]; n > 0 {
			fmt.Fprintf(&b, "%d %s. ", n, outcome)
		}
	}
	fmt.Fprintf(&b, "All together, %.1f s.\n", time.Since(started).Seconds())
	if err := os.WriteFile(resultsFile, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func cpus() int {
	b, _ := os.ReadFile("/proc/cpuinfo")
	return bytes.Count(b, []byte("processor\t:"))
}

func actionOf(t *testing.T, rule string) string {
	t.Helper()
	for name := range events.ByPackage("syscall") {
		if events.MatchRule(name, rule) {
			return name
		}
	}
	t.Fatalf("no action for the rule %q", rule)
	return ""
}

// needsOf describes what an action declares that it needs.
func needsOf(name string) string {
	var needs []string
	for _, need := range events.Needs(name) {
		needs = append(needs, need.Name)
	}
	if c, ok := events.ContainerOf(name); ok {
		text := "container"
		if c.Privileged {
			text = "privileged container"
		}
		for _, capability := range c.CapAdd {
			text += ", CAP_" + capability
		}
		for _, mount := range c.Mounts {
			text += ", " + mount
		}
		if c.SeccompUnconfined {
			text += ", no seccomp profile"
		}
		needs = append(needs, text)
	}
	if d := events.Duration(name); d > 0 {
		needs = append(needs, d.String())
	}
	if len(needs) == 0 {
		return "nothing"
	}
	return strings.Join(needs, ", ")
}
