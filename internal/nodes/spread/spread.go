// SPDX-License-Identifier: Apache-2.0

// Package spread has the actions of a plan run on the nodes of a cluster, and returns
// for each node what a session returns here: pending results.
//
// Settings and a plan enter. It asks package nodes to run the image of this very test
// binary on each node, reads what the pods tell, and makes results of it. What kept a
// node from being judged, or from being judged to its end, is the node's failure, told
// once and not for each action. It imports internal/nodes and its parts, internal/plan,
// internal/result and internal/report.
package spread

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/gotest"
	"github.com/falcotest/go-falcotest/internal/image/fingerprint"
	"github.com/falcotest/go-falcotest/internal/nodes"
	"github.com/falcotest/go-falcotest/internal/nodes/inpod"
	"github.com/falcotest/go-falcotest/internal/nodes/lines"
	"github.com/falcotest/go-falcotest/internal/nodes/manifest"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/report"
	"github.com/falcotest/go-falcotest/internal/result"
)

// Asked is what is to run.
type Asked struct {
	Settings *config.Settings
	Test     string // the test that runs it
	Call     int    // which call of it this is
	Plan     *plan.Plan
	// Selects tells whether the tests of a rule are to run; nil: all are.
	Selects func(rule string) bool
	Logf    func(format string, args ...any)
	// Progress is told of nodes.
	Progress Progress
}

// Progress is told how far a run is.
type Progress interface {
	Begin(total int)
	Runs(node string, on bool)
}

// Run is a plan on nodes. Its methods are safe for concurrent use.
type Run struct {
	asked  Asked
	nodes  []*Node
	byName map[string]*Node
	run    *nodes.Run
}

// Node is a node and its results.
type Node struct {
	*nodes.Node
	Pending []result.Pending // in the order of the plan

	asked   *Asked
	mu      sync.Mutex
	judge   string
	falco   string
	waiting map[string]*waiting // by the path
	planned bool
	end     *lines.End
	problem *lines.Problem
	wrong   error // what was told that cannot be
	ended   chan struct{}
	failure string
}

// waiting is a result that is on its way.
type waiting struct {
	action *plan.Action
	done   chan struct{}
	value  *result.Result
}

// Config is how the cluster of the settings is reached.
func Config(k config.Kubernetes) (*rest.Config, error) {
	loading := clientcmd.NewDefaultClientConfigLoadingRules()
	loading.ExplicitPath = k.Kubeconfig
	c, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(loading, &clientcmd.ConfigOverrides{CurrentContext: k.Context}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("reaching the cluster whose nodes are to be judged: %w", err)
	}
	return c, nil
}

// Begin selects nodes and has them judged. The context bounds the run; [Run.Close]
// ends it.
func Begin(ctx context.Context, asked Asked) (*Run, error) {
	s := asked.Settings
	if s.Coverage || s.Mutations || s.Record != "" {
		return nil, errors.New("running on nodes: coverage, mutations and recordings need the events of actions here: run them without FALCOTEST_NODES")
	}
	c, err := Config(s.Kubernetes)
	if err != nil {
		return nil, err
	}
	r := &Run{asked: asked, byName: map[string]*Node{}}
	selector := s.Nodes.Selector
	if selector == "all" {
		selector = ""
	}
	args, env, err := asked.pod()
	if err != nil {
		return nil, err
	}
	id := nodes.NewID()
	r.run, err = nodes.Prepare(ctx, nodes.Options{
		Config: c, Selector: selector, Parallel: s.Nodes.Parallel, Handle: r.handle, Ended: r.ended, Logf: asked.Logf,
		Wanted: func(node string) bool { return len(asked.actions(node)) > 0 },
		Manifest: manifest.Options{
			Run: id, Namespace: s.Nodes.Namespace, CreateNamespace: s.Nodes.CreateNamespace, Image: s.Nodes.Image, PullSecrets: s.Nodes.PullSecrets,
			Profile: manifest.Profile(s.Nodes.Profile), Falco: s.Falco, Deadline: s.Nodes.Deadline, Args: args,
			Env: append(env, config.EnvNodeRun+"="+id),
		},
	})
	if err != nil {
		return nil, err
	}
	for _, n := range r.run.Nodes() {
		r.add(n)
	}
	asked.Progress.Begin(len(r.nodes))
	r.run.Go()
	return r, nil
}

// pod is what the test binary is told in a pod.
func (a *Asked) pod() (args, env []string, err error) {
	ask := lines.Ask{Test: a.Test, Call: a.Call}
	ask.Run, ask.Skip = gotest.NewFilter().Patterns()
	if a.Selects != nil {
		ask.Only = true
		for _, action := range a.Plan.Actions {
			if name := action.RuleName(); a.Selects(name) && !slices.Contains(ask.Rules, name) {
				ask.Rules = append(ask.Rules, name)
			}
		}
	}
	data, err := json.Marshal(ask)
	if err != nil {
		return nil, nil, err
	}
	levels := strings.Split(a.Test, "/")
	for i, level := range levels {
		levels[i] = "^" + regexp.QuoteMeta(level) + "$"
	}
	const before = 15 * time.Second // to clean up and tell so before the Job's deadline
	args = []string{"-test.run=" + strings.Join(levels, "/"), "-test.count=1", "-test.timeout=" + max(a.Settings.Nodes.Deadline-before, a.Settings.Nodes.Deadline/2).String()}
	env = append(env, config.EnvNodeAsk+"="+string(data))
	for _, kv := range os.Environ() {
		if name, value, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "FALCOTEST_") && value != "" && !config.OfDriver(name) {
			env = append(env, kv)
		}
	}
	return args, env, nil
}

// actions are those that run on a node.
func (a *Asked) actions(node string) (list []*plan.Action) {
	filter := gotest.NewFilter()
	for _, action := range inpod.OfNodes(a.Plan.Actions) {
		if a.Selects != nil && !a.Selects(action.RuleName()) {
			continue
		}
		if filter.Selects(a.Test+"/"+node, strings.Join(action.Subtest(), "/")) {
			list = append(list, action)
		}
	}
	return list
}

func key(path []string) string { return strings.Join(path, "\x00") }

// add prepares the results of a node.
func (r *Run) add(n *nodes.Node) {
	node := &Node{Node: n, asked: &r.asked, waiting: map[string]*waiting{}, ended: make(chan struct{})}
	for _, action := range r.asked.actions(n.Name) {
		w := &waiting{action: action, done: make(chan struct{})}
		node.waiting[key(action.Subtest())] = w
		node.Pending = append(node.Pending, result.Pending{Subtest: action.Subtest(), Elsewhere: true, Wait: func() *result.Result {
			<-w.done
			return w.value
		}})
	}
	r.nodes = append(r.nodes, node)
	r.byName[n.Name] = node
}

// Nodes are those that are judged, by name.
func (r *Run) Nodes() []*Node { return r.nodes }

// Close ends what runs and deletes what the run made.
func (r *Run) Close(ctx context.Context) error { return r.run.Close(ctx) }

// handle takes what a pod tells.
func (r *Run) handle(name string, m *lines.Message) {
	n := r.byName[name]
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.wrong != nil:
	case m.Hello != nil:
		r.asked.Progress.Runs(name, true)
		n.wrong = n.check(m.Hello)
	case m.Plan != nil:
		n.judge, n.falco, n.planned = m.Plan.Judge, m.Plan.Falco, true
	case m.Problem != nil:
		n.problem = m.Problem
	case m.End != nil:
		n.end = m.End
		if m.End.Falco != "" {
			n.falco = m.End.Falco
		}
	case m.Result != nil:
		w := n.waiting[key(m.Result.Path)]
		if w == nil || w.value != nil {
			n.wrong = fmt.Errorf("the pod told of the test %q, which it was not asked for", strings.Join(m.Result.Path, "/"))
			return
		}
		value, err := n.result(w.action, m.Result)
		if err != nil {
			n.wrong = fmt.Errorf("the pod told of %s what cannot be: %w", strings.Join(m.Result.Path, "/"), err)
			return
		}
		w.value = value
		close(w.done)
	}
}

// check tells whether a pod runs what is tested here.
func (n *Node) check(h *lines.Hello) error {
	if h.Version != lines.Version {
		return fmt.Errorf("the test binary of the image speaks version %d of what pods tell, and this one version %d: make the image anew: %s", h.Version, lines.Version, fingerprint.Command)
	}
	if h.Node != n.Name {
		return fmt.Errorf("the pod ran on the node %s", h.Node)
	}
	if len(h.Image) == 0 {
		self, err := fingerprint.Self()
		if err == nil && self == h.Binary {
			return nil // an image made by other means, of this very binary
		}
		return fmt.Errorf("the image has another test binary, and no list of what it was made of: make it by: %s", fingerprint.Command)
	}
	list := new(fingerprint.List)
	if err := json.Unmarshal(h.Image, list); err != nil {
		return fmt.Errorf("the image's list of what it was made of: %w", err)
	}
	return list.Check(n.asked.Test, n.asked.Plan.Reads())
}

// result is what a pod told of an action.
func (n *Node) result(a *plan.Action, told *lines.Result) (*result.Result, error) {
	row := told.Row
	outcome, err := result.ParseOutcome(row.Outcome)
	if err != nil {
		return nil, err
	}
	r := &result.Result{
		Node: n.Name, Action: row.Action, Rule: row.Rule, Position: result.Position{File: row.File, Line: row.Line}, Priority: row.Priority,
		Outcome: outcome, Reason: row.Reason, Judge: n.judge, Correlation: row.Correlation, Latency: row.Latency, Ran: row.Ran,
		Attempts: row.Attempts, Said: told.Text, Lasting: told.Here,
	}
	if a.Test != nil {
		r.Test, r.Case = a.Test.Pos.String(), a.Test.Case()
	}
	if told.Need != nil {
		r.Need = events.Need{Name: told.Need.Name, Hint: told.Need.Hint}
	}
	if s := told.Shadow; s != nil {
		r.Shadow = &result.Shadow{Rule: s.Rule, Position: result.Position{File: s.File, Line: s.Line}}
	}
	if c := row.Clause; c != nil {
		r.Clause = filter.Pos{File: c.File, Line: c.Line, Column: c.Column}
	}
	for _, one := range row.Alerts {
		priority, err := alert.ParsePriority(one.Priority)
		if err != nil {
			return nil, err
		}
		r.Alerts = append(r.Alerts, &alert.Alert{Rule: one.Rule, Priority: priority, Output: one.Output})
	}
	return r, nil
}

// ended ends a node: results that have not come will not.
func (r *Run) ended(name string, f *nodes.Failure) {
	n := r.byName[name]
	n.mu.Lock()
	defer n.mu.Unlock()
	var missing []string
	for _, p := range n.Pending {
		if w := n.waiting[key(p.Subtest)]; w.value == nil {
			missing = append(missing, strings.Join(p.Subtest, "/"))
			close(w.done)
		}
	}
	n.failure = n.why(f, missing)
	close(n.ended)
	r.asked.Progress.Runs(name, true)
	r.asked.Progress.Runs(name, false)
}

// why says why a node was not judged to its end, "" if it was.
func (n *Node) why(f *nodes.Failure, missing []string) string {
	text := ""
	switch {
	case n.wrong != nil:
		text = n.wrong.Error()
	case n.problem != nil:
		text = n.problem.Text
	case f != nil:
		text = f.Error()
	case len(missing) > 0:
		text = "the pod said nothing of what it was asked for"
	default:
		return ""
	}
	if n.planned && len(missing) < len(n.Pending) && len(missing) > 0 {
		text += fmt.Sprintf("\n  no result %s", few(missing))
	}
	return text
}

func few(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// Failure waits until the node has ended, and says why it was not judged to its end, ""
// if it was.
func (n *Node) Failure() string {
	<-n.ended
	return n.failure
}

// Missing are the actions without a result, once the node has ended.
func (n *Node) Missing() (list []*plan.Action) {
	<-n.ended
	for _, p := range n.Pending {
		if w := n.waiting[key(p.Subtest)]; w.value == nil {
			list = append(list, w.action)
		}
	}
	return list
}

// Report is what reports say of the node, once it has ended.
func (n *Node) Report() report.Node {
	<-n.ended
	return report.Node{
		Name: n.Name, Kernel: n.Kernel, Architecture: n.Architecture, OSImage: n.OSImage, Runtime: n.Runtime, Kubelet: n.Kubelet,
		Labels: n.Labels, Judge: n.judge, Falco: n.falco, Problem: n.failure,
	}
}

// Describe says who judges: one name if all nodes' are the same.
func (r *Run) Describe() string {
	var names []string
	for _, n := range r.nodes {
		n.mu.Lock()
		if n.judge != "" && !slices.Contains(names, n.judge) {
			names = append(names, n.judge)
		}
		n.mu.Unlock()
	}
	switch len(names) {
	case 0:
		return "nobody: no node was judged"
	case 1:
		return names[0] + fmt.Sprintf(", on %d nodes", len(r.nodes))
	}
	slices.Sort(names)
	return fmt.Sprintf("each node's own: %s", few(names))
}

// Advice is that of the nodes' judges.
func (r *Run) Advice() string {
	var all []string
	for _, n := range r.nodes {
		n.mu.Lock()
		if n.end != nil {
			for _, w := range n.end.Warnings {
				if !slices.Contains(all, w) {
					all = append(all, w)
				}
			}
		}
		n.mu.Unlock()
	}
	return strings.Join(all, "\n")
}
