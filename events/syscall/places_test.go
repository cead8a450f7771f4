// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/falcotest"
	"github.com/falcotest/go-falcotest/internal/container"
	"github.com/falcotest/go-falcotest/internal/places"
	"github.com/falcotest/go-falcotest/internal/trace"
)

var (
	inPlaces = flag.Bool("places", false, "run every action in all places (minutes)")
	onePlace = flag.String("place", "", "with -places: only in places whose name contains this")
	hereFile = flag.String("here", "", "where TestHere writes the results of every action here")
	hereOnly = flag.String("only", "", "with -here: only these actions, separated by commas")
)

const placesFile = "PLACES.md"

// nothings are the actions that do nothing: whatever is detected of them is
// detected falsely.
var nothings = []string{"nothing.Nothing", "nothing.Logs", "nothing.SpawnsOne", "nothing.SpawnsLinked", "nothing.CleansUp"}

// outcome is what became of an action at a place.
type outcome struct {
	Action, Rule, Outcome string
	Reason                string
	Message               string
	Alerts                []string
}

// TestHere runs every action here, for TestPlaces, which started this process.
func TestHere(t *testing.T) {
	if *hereFile == "" {
		t.Skip("this is a part of TestPlaces")
	}
	s := falcotest.Start(t, strictest(t).option(), falcotest.WithDisabledActions(), falcotest.WithActionDeadline(3*time.Minute))
	actions := append(actionNames(), nothings...)
	if *hereOnly != "" {
		actions = strings.Split(*hereOnly, ",")
	}
	var outcomes []outcome
	for _, r := range doAll(t, s, actions) {
		o := outcome{Action: r.Action, Rule: r.Rule, Outcome: r.Outcome.String(), Reason: r.Reason, Message: r.Why}
		o.Message += strings.Join(r.Log, "\n")
		for _, a := range r.Alerts {
			o.Alerts = append(o.Alerts, a.Rule)
		}
		outcomes = append(outcomes, o)
	}
	b, err := json.Marshal(outcomes)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(*hereFile, b, 0o666); err != nil {
		t.Fatal(err)
	}
}

// TestDenied runs actions where a seccomp profile forbids what tracees are best
// looked at by, as those of container engines do: they are detected all the same.
func TestDenied(t *testing.T) {
	if err := trace.Supported(); err != nil {
		t.Skip(err)
	}
	// A file's name is read from memory, a connection's ends from its socket.
	actions := []string{"syscall.ReadSensitiveFileUntrusted", "syscall.DetectCryptoMinersUsingTheStratumProtocol", "syscall.SystemProcsNetworkActivity"}
	for _, p := range places.All() {
		if !slices.Contains([]string{"no process_vm_readv", "no pidfd_open", "no pidfd_getfd"}, p.Name) {
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			at := atPlace{place: p, only: actions}
			at.run(t, nil, strictest(t))
			at.check(t)
			for _, o := range at.outcomes {
				if o.Outcome != falcotest.Detected.String() && !hasUnmetNeed(o) {
					t.Errorf("%s: %s: %s", o.Action, o.Outcome, o.Reason)
				}
			}
		})
	}
}

// hasUnmetNeed tells whether an action was skipped for a need that is not met
// here, whatever is forbidden.
func hasUnmetNeed(o outcome) bool {
	return slices.ContainsFunc(events.Needs(o.Action), func(n events.Need) bool { return n.Probe != nil && n.Probe() != nil })
}

// atPlace is what a run of TestHere at a place came to.
type atPlace struct {
	place    places.Place
	only     []string // actions, all when empty
	outcomes []outcome
	err      error
	log      string
	took     time.Duration
}

// TestPlaces runs every action wherever people run tests: nothing may be missed
// there, and nothing may be detected that was not done. What cannot work is
// skipped with the reason.
func TestPlaces(t *testing.T) {
	if !*inPlaces {
		t.Skip("takes minutes: go test ./events/syscall -run TestPlaces -places")
	}
	engine, err := container.Default(t.Context(), os.Getenv("FALCOTEST_CONTAINER"))
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Errorf("there must be a container engine: %v", err)
		}
		t.Logf("not in containers: %v", err)
		engine = nil
	} else {
		t.Cleanup(func() {
			if err := engine.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	var all []*atPlace
	for _, p := range places.All() {
		if strings.Contains(p.Name, *onePlace) {
			all = append(all, &atPlace{place: p})
		}
	}
	set := strictest(t)
	var wg sync.WaitGroup
	limit := make(chan struct{}, 2)
	for _, at := range all {
		wg.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			at.run(t, engine, set)
		})
	}
	wg.Wait()
	for _, at := range all {
		t.Run(at.place.Name, func(t *testing.T) { at.check(t) })
	}
	if *onePlace != "" || t.Failed() {
		return
	}
	comparePlaces(t, all)
}

// run runs TestHere at the place.
func (at *atPlace) run(t *testing.T, engine *container.Engine, set ruleSet) {
	shared, err := os.MkdirTemp("", "places-")
	if err != nil {
		at.err = err
		return
	}
	defer os.RemoveAll(shared)
	if at.err = os.Chmod(shared, 0o777); at.err != nil {
		return
	}
	dir, err := os.Getwd()
	if err != nil {
		at.err = err
		return
	}
	var output bytes.Buffer
	file := filepath.Join(shared, "outcomes.json")
	c := places.Command{
		Args: []string{"-test.run=^TestHere$", "-test.v", "-test.timeout=8m", "-here=" + file, "-only=" + strings.Join(at.only, ",")},
		Env:  []string{"CI=", "FALCOTEST_STRICT=0"},
		Dir:  dir, Shared: shared, Output: &output,
	}
	if set.name == "upstream" {
		data, err := filepath.Abs(filepath.Dir(filepath.Dir(set.files[0])))
		if err != nil {
			at.err = err
			return
		}
		c.Env = append(c.Env, "FALCO_TESTDATA="+data)
		c.Mounts = []string{data + ":" + data + ":ro"}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 9*time.Minute)
	defer cancel()
	started := time.Now()
	at.err = at.place.Run(ctx, engine, c)
	at.took = time.Since(started)
	at.log = output.String()
	b, err := os.ReadFile(file)
	if at.err == nil && err == nil {
		err = json.Unmarshal(b, &at.outcomes)
	}
	at.err = errors.Join(at.err, err)
}

// check says what is wrong with the outcomes.
func (at *atPlace) check(t *testing.T) {
	var unavailable *places.UnavailableError
	if errors.As(at.err, &unavailable) {
		// A checkout may be in a folder that is its user's alone.
		if os.Getenv("CI") != "" && !errors.Is(at.err, fs.ErrPermission) {
			t.Fatalf("%v\n%s", at.err, at.log)
		}
		t.Skip(at.err)
	}
	if at.err != nil {
		t.Fatalf("%v\n%s", at.err, at.log)
	}
	count := map[string]int{}
	for _, o := range at.outcomes {
		if slices.Contains(nothings, o.Action) {
			if len(o.Alerts) > 0 {
				t.Errorf("%s: detected falsely: it does nothing, and these rules fired: %q", o.Action, o.Alerts)
			}
			continue
		}
		count[o.Outcome]++
		switch o.Outcome {
		case falcotest.Missed.String():
			t.Errorf("%s: missed falsely: %s\n%s", o.Action, o.Reason, o.Message)
		case falcotest.TriggerFailed.String():
			t.Errorf("%s: trigger failed, where it should be skipped: %s\n%s", o.Action, o.Reason, o.Message)
		case falcotest.Detected.String():
		default:
			if o.Reason == "" {
				t.Errorf("%s: %s without a reason", o.Action, o.Outcome)
			}
			if at.place.Name == "docker run" && !events.Disabled(o.Action) && !hasOwnPrivileges(o.Action) {
				t.Errorf("%s: %s, though it needs no privileges of its own: %s", o.Action, o.Outcome, o.Reason)
			}
		}
	}
	t.Logf("%v in %.1fs", count, at.took.Seconds())
}

// hasOwnPrivileges tells whether an action needs more than an ordinary
// container gives.
func hasOwnPrivileges(action string) bool {
	if c, _ := events.ContainerOf(action); c.Privileged || len(c.CapAdd) > 0 {
		return true
	}
	return slices.ContainsFunc(events.Needs(action), func(n events.Need) bool { return strings.Contains(n.Name, "CAP_SYS_ADMIN") })
}

// comparePlaces compares what was skipped where with the table in the
// documentation, or writes that.
func comparePlaces(t *testing.T, all []*atPlace) {
	want := placesTable(t, all)
	if *update {
		if err := os.WriteFile(placesFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(placesFile)
	if err != nil {
		t.Fatal(err)
	}
	if line := "\nSeen with " + seenWith(t) + "\n"; !strings.Contains(string(have), line) {
		t.Logf("not compared with %s, which was not seen with %s", placesFile, seenWith(t))
		return
	}
	if diff := gocmp.Diff(strings.Split(string(have), "\n"), strings.Split(want, "\n")); diff != "" {
		t.Errorf("%s is not what was seen here (-file +seen); if that is right, run this test with -update:\n%s", placesFile, diff)
	}
}

// ownWords are those that differ from run to run: ids, and numbers of processes.
var ownWords = regexp.MustCompile(`[0-9a-f]{32,}|ft[a-z2-7]{14}|process [0-9]+|unix://[^ :]+`)

// seenWith is what decides, of the rules and the machine, what is skipped as
// root.
func seenWith(t *testing.T) string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	release := unix.ByteSliceToString(name.Release[:])
	if parts := strings.SplitN(release, ".", 3); len(parts) > 2 {
		release = parts[0] + "." + parts[1]
	}
	text := "the " + strictest(t).name + " rules on Linux " + release + " (" + unix.ByteSliceToString(name.Machine[:]) + ")"
	for line := range lines("/proc/self/status") {
		if set, ok := strings.CutPrefix(line, "CapEff:"); ok {
			text += ", capabilities " + strings.TrimSpace(set)
		}
	}
	var fs unix.Statfs_t
	if unix.Statfs("/sys/fs/cgroup", &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC {
		text += ", control groups of version 2"
	}
	if _, err := os.Stat("/.dockerenv"); err == nil {
		text += ", made from a container's image"
	}
	return text
}

func placesTable(t *testing.T, all []*atPlace) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Places

Every action, wherever people run tests: what is detected there, and what is skipped and why. Nothing is missed, and
nothing is detected that was not done. Written, as root with a container engine, by

    go test ./events/syscall -run TestPlaces -places -update

In containers, actions run where the tests do; on the machine, those that need a container have one made for them.

Seen with %s

| Place | What it is | Detected | Skipped | Inconclusive |
| --- | --- | ---: | ---: | ---: |
`, seenWith(t))
	for _, at := range all {
		count := map[string]int{}
		for _, o := range at.outcomes {
			if !slices.Contains(nothings, o.Action) {
				count[o.Outcome]++
			}
		}
		fmt.Fprintf(&b, "| `%s` | %s | %d | %d | %d |\n", at.place.Name, at.place.What, count["detected"], count["skipped"], count["inconclusive"])
	}
	for _, at := range all {
		byReason := map[string][]string{}
		for _, o := range at.outcomes {
			if o.Outcome != falcotest.Detected.String() && !slices.Contains(nothings, o.Action) {
				reason := o.Outcome + ": " + ownWords.ReplaceAllString(strings.Join(strings.Fields(o.Reason), " "), "…")
				byReason[reason] = append(byReason[reason], strings.TrimPrefix(o.Action, "syscall."))
			}
		}
		if len(byReason) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n## `%s`\n\n", at.place.Name)
		reasons := slices.SortedFunc(maps.Keys(byReason), func(a, c string) int {
			return cmp.Or(cmp.Compare(len(byReason[c]), len(byReason[a])), strings.Compare(a, c))
		})
		for _, reason := range reasons {
			slices.Sort(byReason[reason])
			fmt.Fprintf(&b, "- %s (%d): %s\n", reason, len(byReason[reason]), strings.Join(byReason[reason], ", "))
		}
	}
	return b.String()
}
