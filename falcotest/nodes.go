// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/nodes/inpod"
	"github.com/falcotest/go-falcotest/internal/nodes/spread"
	"github.com/falcotest/go-falcotest/internal/session"
	"github.com/falcotest/go-falcotest/internal/subtests"
	"github.com/falcotest/go-falcotest/internal/terminal"
)

// Nodes has the tests run on the nodes of a Kubernetes cluster, in a pod on each, and
// says how. The cluster is that of [Kubernetes]: its Kubeconfig and Context. The judge
// is as [WithFalco] says, seen from the pods: builtin:, replay:///path in the image,
// unix:///run/falco/falco.sock of the node, or http://0.0.0.0:2801/SECRET, to which the
// node's Falco posts. NODES.md tells from nothing to the first verdict.
//
// The subtests are named after the nodes: TestRules/worker-1/syscall.WriteBelowEtc, or
// TestRules/worker-1/RULE/TEST/CASE for the tests of files. A rule counts as detected if
// it was on all nodes that are selected. A node that cannot be judged fails once, with
// what the cluster says of it.
type Nodes struct {
	// Selector selects the nodes by their labels, as kubectl's -l has it, or is "all".
	// Empty runs the tests here.
	Selector string

	// Image is the image of this test binary, which "go tool falcotest image" makes, as
	// the nodes pull it. PullSecrets are secrets in the namespace to pull it with.
	Image       string
	PullSecrets []string

	// Namespace is where the pods run: falcotest if empty. CreateNamespace creates it
	// and deletes it at the end.
	Namespace       string
	CreateNamespace bool

	// Profile says what the pods may do: "baseline", an ordinary pod, or "privileged".
	// Actions that need more than they may are skipped. Empty means baseline.
	Profile string

	// Parallel bounds how many nodes are judged at a time: 50 if zero. Deadline bounds
	// how long one may take, its pod's start included: 10 min if zero.
	Parallel int
	Deadline time.Duration
}

// WithNodes has the tests of [Run] and [RunFiles] run on the nodes of a cluster.
func WithNodes(n Nodes) Option {
	return func(c *settings) { c.Nodes = config.Nodes(n) }
}

// runOnNodes has the tests run by pods, and makes what they tell subtests of t.
func runOnNodes(t *testing.T, cfg *settings, call int) {
	t.Helper()
	s, run := open(t, cfg, func(*session.Session, *subtests.Run) error { return nil })
	run.Gate.Log(t)
	asked := spread.Asked{Settings: &cfg.Settings, Test: t.Name(), Call: call, Plan: run.Plan, Logf: t.Logf}
	if run.Gate.Compares() {
		asked.Selects = run.Gate.Selects
	}
	if left := len(run.Plan.Actions) - len(inpod.OfNodes(run.Plan.Actions)); left > 0 {
		t.Logf("%d actions are left out whose events are those of no node, but of the API server: run them without WithNodes", left)
	}
	progress := terminal.Open(cfg.Terminal)
	asked.Progress = progress
	nodes, err := spread.Begin(s.Context(), asked)
	if err != nil {
		progress.End(nil)
		t.Fatal(startMessage(err))
	}
	s.Attach(func() error { return nodes.Close(context.Background()) })
	run.ReportNodes(t, nodes, progress)
}

// runInPod runs the tests for a driver elsewhere, which it tells what becomes of them.
func runInPod(t *testing.T, pod *inpod.Pod, cfg *settings) {
	t.Helper()
	if err := pod.Hello(); err != nil {
		t.Fatal(err)
	}
	cfg.InPod()
	s, run, err := try(t, cfg, func(s *session.Session, run *subtests.Run) error { return s.Start(run.Plan) })
	if err != nil {
		t.Error(errors.Join(err, pod.Problem(startMessage(err))))
		return
	}
	if err := pod.Run(s, run.Plan); err != nil {
		t.Fatal(err)
	}
}
