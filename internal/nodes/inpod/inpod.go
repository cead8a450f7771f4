// SPDX-License-Identifier: Apache-2.0

// Package inpod is what a test binary does in the pod of a node: it runs the actions as
// anywhere, and tells what becomes of them in lines of the standard output, for the
// driver that follows the pod's log.
//
// A session that is ready enters; see [Run]. A Falco that gives no answer to the first
// actions, the canaries, is told of in one problem, and no more runs. The package
// imports internal/session, internal/plan, internal/report for rows, and the lines.
package inpod

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/gotest"
	"github.com/falcotest/go-falcotest/internal/image/fingerprint"
	"github.com/falcotest/go-falcotest/internal/nodes/lines"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/report"
	"github.com/falcotest/go-falcotest/internal/result"
	"github.com/falcotest/go-falcotest/internal/session"
	"github.com/falcotest/go-falcotest/internal/source"
)

// Pod is this process's part of a run on nodes.
type Pod struct {
	Ask  lines.Ask
	Node string
	w    *lines.Writer
}

// Asked returns what a driver asks of this process, nil where it is in no pod of a run.
var Asked = sync.OnceValues(func() (*Pod, error) {
	run := os.Getenv(config.EnvNodeRun)
	if run == "" {
		return nil, nil
	}
	p := &Pod{Node: config.Node(), w: lines.NewWriter(os.Stdout, run)}
	if err := json.Unmarshal([]byte(os.Getenv(config.EnvNodeAsk)), &p.Ask); err != nil {
		return nil, fmt.Errorf("reading what the driver of the run asks (%s): %w", config.EnvNodeAsk, err)
	}
	if p.Node == "" {
		return nil, errors.New("running for a driver: NODE_NAME does not say on which node")
	}
	return p, nil
})

// calls counts how often a test has run something, by the test.
var calls struct {
	sync.Mutex
	of map[testing.TB]int
}

// Call returns which call of a test this one is, from 1 on: a test may run several.
func Call(t testing.TB) int {
	calls.Lock()
	defer calls.Unlock()
	if calls.of == nil {
		calls.of = map[testing.TB]int{}
	}
	if calls.of[t]++; calls.of[t] == 1 {
		t.Cleanup(func() {
			calls.Lock()
			defer calls.Unlock()
			delete(calls.of, t)
		})
	}
	return calls.of[t]
}

// Mine tells whether a call of a test is what the driver asks for.
func (p *Pod) Mine(t testing.TB, call int) bool { return t.Name() == p.Ask.Test && call == p.Ask.Call }

// Hello tells who speaks.
func (p *Pod) Hello() error {
	h := &lines.Hello{Version: lines.Version, Node: p.Node, Arch: runtime.GOARCH, Kernel: kernel()}
	var err error
	if h.Binary, err = fingerprint.Self(); err != nil {
		return err
	}
	switch list, err := fingerprint.Read(); {
	case err == nil:
		if h.Image, err = json.Marshal(list); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return p.w.Write(&lines.Message{Hello: h})
}

// kernel is the release of the node's kernel, which is the pod's.
func kernel() string {
	text, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return strings.TrimSpace(string(text))
}

// Problem tells why nothing runs here.
func (p *Pod) Problem(text string) error {
	return p.w.Write(&lines.Message{Problem: &lines.Problem{Text: text}})
}

// Selected are the actions that the driver asks for.
func (p *Pod) Selected(actions []*plan.Action) (selected []*plan.Action) {
	filter := gotest.FilterOf(p.Ask.Run, p.Ask.Skip)
	for _, a := range actions {
		if p.Ask.Only && !slices.Contains(p.Ask.Rules, a.RuleName()) {
			continue
		}
		if filter.Selects(p.Ask.Test+"/"+p.Node, strings.Join(a.Subtest(), "/")) {
			selected = append(selected, a)
		}
	}
	return selected
}

// Run runs the actions that the driver asks for, and tells what becomes of each as soon
// as it is known. The error is that of writing.
func (p *Pod) Run(s *session.Session, pl *plan.Plan) error {
	actions := p.Selected(OfNodes(pl.Actions))
	announced := &lines.Plan{Judge: s.Describe(), Rules: pl.Files, Falco: version(s)}
	for _, a := range actions {
		announced.Tests = append(announced.Tests, lines.Test{Path: a.Subtest(), Rule: a.RuleName()})
	}
	if err := p.w.Write(&lines.Message{Plan: announced}); err != nil {
		return err
	}
	canaries, rest := actions[:0:0], actions
	if !s.Judge.Exact() && !s.Judge.Replays() {
		canaries, rest = choose(actions)
	}
	first := s.Run(canaries, every, nobody{})
	if len(first) > 0 {
		problem := deaf(s, first)
		if err := toldToEnd(s); err != nil {
			return err
		}
		if problem != "" {
			return p.w.Write(&lines.Message{Problem: &lines.Problem{Text: problem, Deaf: true}})
		}
	}
	pending := append(first, s.Run(rest, every, nobody{})...)
	errs := make(chan error, len(pending))
	for _, one := range pending {
		go func() { errs <- p.tell(s, one) }()
	}
	var err error
	for range pending {
		err = errors.Join(err, <-errs)
	}
	if err != nil {
		return err
	}
	end := &lines.End{Results: len(pending), Elapsed: time.Since(s.Started), Falco: version(s)}
	if advice := s.Advice(); advice != "" {
		end.Warnings = append(end.Warnings, advice)
	}
	return p.w.Write(&lines.Message{End: end})
}

// OfNodes leaves out the actions whose events are not a node's own, such as those of
// the API server.
func OfNodes(actions []*plan.Action) []*plan.Action {
	return slices.DeleteFunc(slices.Clone(actions), func(a *plan.Action) bool {
		src := source.ByName(a.Source())
		return src != nil && src.Open != nil
	})
}

func version(s *session.Session) string {
	if v, ok := s.Judge.(interface{ Version() string }); ok {
		return v.Version()
	}
	return ""
}

func every([]string) bool { return true }

// nobody is told of progress.
type nobody struct{}

func (nobody) Begin(int)         {}
func (nobody) Runs(string, bool) {}

// toldToEnd returns an error where the pod was told to end. What becomes of actions then
// is not told: the cluster knows why, and the driver asks it.
func toldToEnd(s *session.Session) error {
	if why := context.Cause(s.Context()); errors.Is(why, session.ErrSignal) {
		return why
	}
	return nil
}

// tell tells a result.
func (p *Pod) tell(s *session.Session, pending result.Pending) error {
	r := pending.Wait()
	if err := toldToEnd(s); err != nil {
		return err
	}
	told := &lines.Result{Path: pending.Subtest, Row: report.RowOf(r), Here: r.Lasting}
	if r.Outcome == result.Detected || r.Outcome == result.Silent {
		told.Text = r.Passed()
	} else {
		test := strings.Join(append([]string{p.Ask.Test, p.Node}, pending.Subtest...), "/")
		told.Text = r.Message(strings.ReplaceAll(test, " ", "_")) // as package testing names it
	}
	if r.Need.Name != "" {
		told.Need = &lines.Need{Name: r.Need.Name, Hint: r.Need.Hint}
	}
	if r.Shadow != nil {
		told.Shadow = &lines.Shadow{Rule: r.Shadow.Rule, File: r.Shadow.Position.File, Line: r.Shadow.Position.Line}
	}
	return p.w.Write(&lines.Message{Result: told})
}

// choose takes out the actions that run first, to see whether the Falco answers: a few
// that need little and of which an alert is expected.
func choose(actions []*plan.Action) (canaries, rest []*plan.Action) {
	const most = 3
	for _, pass := range []func(*plan.Action) bool{
		func(a *plan.Action) bool { return len(a.Requires()) == 0 && a.Duration == 0 },
		func(*plan.Action) bool { return true },
	} {
		for _, a := range actions {
			if len(canaries) < most && a.Rule != nil && !(a.Expect != nil && a.Expect.Silent) && pass(a) && !slices.Contains(canaries, a) {
				canaries = append(canaries, a)
			}
		}
	}
	for _, a := range actions {
		if !slices.Contains(canaries, a) {
			rest = append(rest, a)
		}
	}
	return canaries, rest
}

// deaf says that the Falco gave no answer to the canaries, or "".
func deaf(s *session.Session, canaries []result.Pending) string {
	ran, names := 0, []string(nil)
	for _, c := range canaries {
		switch r := c.Wait(); r.Outcome {
		case result.Skipped, result.TriggerFailed: // nobody was asked
		case result.Detected:
			return ""
		default:
			ran++
			names = append(names, r.Action)
		}
	}
	counts := s.Judge.Decider().Counts()
	if ran == 0 || counts.Here > 0 || counts.Attributed > 0 || s.Judge.Decider().Answers() {
		return ""
	}
	what := "no alert came, whether of " + strings.Join(names, ", ") + " or of anything else"
	next := "see that the Falco of this node runs, that its rules are loaded, and that its output goes where this run listens (go tool falcotest manifest values prints the lines of Falco's chart)"
	switch {
	case len(counts.Elsewhere) > 0 && counts.Elsewhere[0] == "":
		what = "alerts came that name no host, and none of them can be told to be of this node"
		next = "have the Falco print its host's name: FALCO_HOSTNAME, as its chart sets it"
	case len(counts.Elsewhere) > 0:
		what = "alerts came of other hosts alone: " + strings.Join(counts.Elsewhere, ", ")
		next = "alerts of another node do not count. If it is this node's Falco that calls itself so, set FALCO_HOSTNAME to the node's name, as Falco's chart does; if not, see that the Service has internalTrafficPolicy: Local"
	}
	return fmt.Sprintf("%s does not answer: %s\n  next      %s", s.JudgeName, what, next)
}
