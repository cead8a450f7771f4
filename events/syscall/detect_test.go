// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/falcotest/go-falcotest/events"
	_ "github.com/falcotest/go-falcotest/events/syscall"
	"github.com/falcotest/go-falcotest/falcotest"
	"github.com/falcotest/go-falcotest/internal/places"
)

var update = flag.Bool("update", false, "write "+resultsFile)

func TestMain(m *testing.M) {
	places.Main()
	falcotest.Main(m)
}

// option loads the rules of a set, what two of Falco's leave to their users, and
// further files after them.
func (set ruleSet) option(more ...string) falcotest.Option {
	files := append(slices.Clone(set.files), filepath.Join("testdata", "customised_rules.yaml"))
	return falcotest.WithRules(append(files, more...)...)
}

// TestRules runs every action against the rule that it is named after, and
// compares the outcomes with the table in RESULTS.md.
func TestRules(t *testing.T) { eachSet(t, everyAction) }

func everyAction(t *testing.T, set ruleSet) {
	file := filepath.Join(t.TempDir(), "report.json")
	t.Setenv("FALCOTEST_REPORT", file)
	falcotest.Run(t, set.option(), falcotest.WithDisabledActions())
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return // nothing was selected, or the run says itself what is wrong
	}
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Runs []struct {
			Results []struct{ Action, Outcome, Reason string }
		}
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	table := readResults(t)
	for _, r := range doc.Runs[0].Results {
		switch want := table[r.Action].outcome[set.name]; {
		case want == r.Outcome && r.Outcome != "skipped":
		case want == "" && r.Outcome == "silent": // a near miss
		case r.Outcome != "skipped":
			t.Errorf("%s: %s, %s has %q: if that is right, run TestResults with -update", r.Action, r.Outcome, resultsFile, want)
		case os.Getenv("CI") != "" && mayBeSkipped[r.Action] == "":
			t.Errorf("%s was skipped in CI: %s", r.Action, r.Reason)
		}
	}
}

// mayBeSkipped are the actions that may be skipped in CI, with the reason.
var mayBeSkipped = map[string]string{}

// TestStableRules runs the actions of the stable rules as users do, with
// nothing but that file.
func TestStableRules(t *testing.T) {
	eachSet(t, func(t *testing.T, set ruleSet) { falcotest.Run(t, falcotest.WithRules(set.files[0])) })
}

// TestChangedRules changes the constant that each rule is about: no action may
// be detected any more.
func TestChangedRules(t *testing.T) { eachSet(t, changedRules) }

func changedRules(t *testing.T, set ruleSet) {
	changed := filepath.Join("testdata", "changed_rules.yaml")
	s := falcotest.Start(t, set.option(changed), falcotest.WithDisabledActions())
	for _, r := range doAll(t, s, actionNames()) {
		switch r.Outcome {
		case falcotest.Missed:
		case falcotest.Skipped:
			if os.Getenv("CI") != "" && mayBeSkipped[r.Action] == "" {
				t.Errorf("%s was skipped in CI: %s", r.Action, r.Reason)
			}
		default:
			t.Errorf("%s: %s, want missed %s", r.Action, r.Outcome, r.Reason)
		}
	}
}

// TestNearMisses does what comes close to a rule but is not what it means.
func TestNearMisses(t *testing.T) { eachSet(t, nearMisses) }

func nearMisses(t *testing.T, set ruleSet) {
	rules, excuses := map[string]string{}, map[string]string{}
	stable := map[string]bool{}
	of := map[string]string{}
	for action := range events.ByPackage("nearmiss") {
		name, excuse := events.NearMissOf(action)
		of[name], excuses[action] = action, excuse
	}
	for _, rule := range set.rules(t) {
		if rule.Maturity == "stable" {
			stable[rule.Rule] = true
		}
		for name, action := range of {
			if events.MatchRule(name, rule.Rule) {
				rules[action] = rule.Rule
				delete(stable, rule.Rule)
			}
		}
	}
	for rule := range stable {
		t.Errorf("the stable rule %q has no near miss", rule)
	}
	s := falcotest.Start(t, set.option(), falcotest.WithDisabledActions())
	for _, r := range doAll(t, s, slices.Sorted(maps.Keys(rules))) {
		switch r.Outcome {
		case falcotest.TriggerFailed, falcotest.Inconclusive:
			t.Errorf("%s: %s: %s", r.Action, r.Outcome, r.Reason)
		case falcotest.Skipped:
			if os.Getenv("CI") != "" {
				t.Errorf("%s was skipped in CI: %s", r.Action, r.Reason)
			}
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

// resultsRow is what the table says of an action.
type resultsRow struct {
	rule, needs string
	outcome     map[string]string // by the name of a rule set
}

// readResults reads the table of results by the actions' names.
func readResults(t *testing.T) map[string]resultsRow {
	t.Helper()
	table, err := os.ReadFile(resultsFile)
	if err != nil {
		t.Fatalf("%v (run TestResults with -update)", err)
	}
	rows := map[string]resultsRow{}
	for line := range strings.Lines(string(table)) {
		cells := strings.Split(strings.Trim(line, "| \n"), " | ")
		if len(cells) == 7 && strings.HasPrefix(cells[2], "`") {
			rows[strings.Trim(cells[2], "`")] = resultsRow{cells[1], cells[3], map[string]string{"own": cells[4], "upstream": cells[5]}}
		}
	}
	return rows
}

// TestResults writes the table of results when asked to by -update, and
// otherwise checks that it has each rule with its action and its needs.
// [TestRules] compares the outcomes.
func TestResults(t *testing.T) {
	if *update {
		writeResults(t)
	}
	table := readResults(t)
	for _, rule := range ownRules.rules(t) {
		name := actionOf(t, rule.Rule)
		got := [2]string{table[name].rule, table[name].needs}
		if diff := cmp.Diff([2]string{rule.Rule, needsOf(name)}, got); diff != "" {
			t.Errorf("%s is not up to date on %s, run this test with -update (-want +got):\n%s", resultsFile, name, diff)
		}
		delete(table, name)
	}
	for name := range table {
		t.Errorf("%s has %s, which is no action", resultsFile, name)
	}
}

func writeResults(t *testing.T) {
	sets := ruleSets(t)
	if len(sets) != 2 {
		t.Fatal("the table needs the rules that Falco ships: FALCO_TESTDATA says where they are")
	}
	outcomes := map[string]map[string]*falcotest.Result{}
	var totals, judge string
	for _, set := range sets {
		started := time.Now()
		s := falcotest.Start(t, set.option(), falcotest.WithDisabledActions())
		outcomes[set.name] = map[string]*falcotest.Result{}
		count := map[falcotest.Outcome]int{}
		for _, r := range doAll(t, s, actionNames()) {
			outcomes[set.name][r.Action] = r
			count[r.Outcome]++
			judge = r.Judge
		}
		totals += fmt.Sprintf("\nWith the %s rules: ", set.name)
		for _, outcome := range []falcotest.Outcome{falcotest.Detected, falcotest.Missed, falcotest.Skipped, falcotest.TriggerFailed, falcotest.Inconclusive} {
			if n := count[outcome]; n > 0 {
				totals += fmt.Sprintf("%d %s, ", n, outcome)
			}
		}
		totals += fmt.Sprintf("in %.1f s.\n", time.Since(started).Seconds())
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `# Results

Every action against the rule that it is named after, of our own rules (testdata/rules)
and of those that Falco ships. Written by

    go test ./events/syscall -run TestResults -update

as root, on %d processors, with a container engine. Judge: %s.
Two of Falco's rules match nothing as they come: testdata/customised_rules.yaml has
what they leave to their users.

| Maturity | Rule | Action | Needs | Own rule | Falco's rule | Time |
| --- | --- | --- | --- | --- | --- | --- |
`, cpus(), judge)
	for _, rule := range ownRules.rules(t) {
		name := actionOf(t, rule.Rule)
		own, upstream := outcomes["own"][name], outcomes["upstream"][name]
		fmt.Fprintf(&b, "| %s | %s | `%s` | %s | %s | %s | %.2f s |\n",
			rule.Maturity, rule.Rule, name, needsOf(name), own.Outcome, upstream.Outcome, own.Ran.Seconds())
	}
	b.WriteString(totals)
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
