// SPDX-License-Identifier: Apache-2.0

// Package falcotest gates Falco rules: it runs the registered actions
// (package events) as subtests, each in a process of its own, and asserts that
// the matching rule fired.
//
// A rules repository adds one file, and "go test ./..." gates its changes:
//
//	func TestMain(m *testing.M) { falcotest.Main(m) }
//
//	func TestRules(t *testing.T) {
//		falcotest.Run(t, falcotest.WithRules("rules/*.yaml"))
//	}
//
// # Who judges
//
// A URL, given by [WithFalco] or FALCOTEST_FALCO, says which Falco judges.
// Unset, it is the built-in engine: it traces the action, evaluates the rules
// as Falco 0.43 does, and hands its alerts over the same gRPC outputs API that
// a Falco serves. See [WithFalco] for the others.
//
// # Outcomes
//
// Each action ends in one [Outcome]: detected, missed, skipped, trigger failed
// or inconclusive. They are kept apart everywhere: an action that did not run
// is never reported as a rule that did not fire.
//
// # More
//
// Pages beside this package: JUDGES.md (who judges, and how to set it up), GATE.md
// (baseline, what changed, coverage, reports), TESTFILES.md (tests without Go),
// CAPTURES.md (recordings), NODES.md (the nodes of a cluster). On the web they are at
// https://github.com/falcotest/go-falcotest/tree/main/falcotest.
//
// # Settings
//
// Each setting is an option, whose documentation says more, here with its default in
// parentheses, and a variable of the environment, which overrides what the test's
// code says, or adds to what is a list of [Exec]:
//
//	FALCOTEST_FALCO            WithFalco: who judges, by URL (builtin:)
//	FALCOTEST_RULES            WithRules: rules files, as PATH (rules)
//	FALCOTEST_ACTIONS          WithActions: names, patterns, by comma (all)
//	FALCOTEST_TEST_FILES       WithTestFiles: of tests, as PATH (beside rules)
//	FALCOTEST_DISABLED         WithDisabledActions: 1: those disabled, too
//	FALCOTEST_TIMEOUT          WithTimeout: how long to wait for alerts (10s)
//	FALCOTEST_ACTION_DEADLINE  WithActionDeadline: how long one may run (30s)
//	FALCOTEST_RETRIES          WithRetries: of inconclusive actions (2)
//	FALCOTEST_PARALLEL         WithParallel: actions at a time (4 a processor)
//	FALCOTEST_MIN_CORRELATION  WithMinCorrelation: weakest that passes (time)
//	FALCOTEST_RULE_MATCHING    WithRuleMatching: all, or first as Falco (all)
//	FALCOTEST_STRICT           WithStrict: 1: a skip fails
//	FALCOTEST_REPORT           WithReport: files, separated by commas
//	FALCOTEST_TERMINAL         WithTerminal: 0: tell no progress (1)
//	FALCOTEST_RECORD           WithRecord: a folder for recordings
//	FALCOTEST_BASELINE         WithBaseline: the file of what was accepted
//	FALCOTEST_BASE             WithChangedSince: a git revision
//	FALCOTEST_MIN_COVERAGE     WithMinCoverage: from 0 to 1
//	FALCOTEST_COVERAGE         WithCoverage: 1: which clauses were tested
//	FALCOTEST_MUTATIONS        WithMutations: 1: which faults go unnoticed
//	FALCOTEST_ENV              WithEnv: NAME=value, separated by blanks
//	FALCOTEST_HERMETIC         WithHermetic: 0: no mounts of their own (1)
//	FALCOTEST_CONTAINER        WithContainerEngine: docker, podman or off
//	FALCOTEST_IMAGE            WithImage: the image of containers
//	FALCOTEST_FALCO_ENGINE     Exec.Engine: the engine kind (modern_ebpf)
//	FALCOTEST_FALCO_OPTIONS    Exec.Options: key=value, separated by blanks
//	FALCOTEST_FALCO_RULES      Exec.Rules: rules files, separated like PATH
//	FALCOTEST_FALCO_PLUGINS    Exec.Plugins: separated by blanks
//	FALCOTEST_KUBECONFIG       Kubernetes.Kubeconfig: a file
//	FALCOTEST_CONTEXT          Kubernetes.Context: its context
//	FALCOTEST_NAMESPACE        Kubernetes.Namespace: of actions
//	FALCOTEST_CREATE_NAMESPACE Kubernetes.CreateNamespace: 1: create it
//	FALCOTEST_AUDIT_LISTEN     Kubernetes.AuditListen: a URL to listen at
//	FALCOTEST_AUDIT_WEBHOOK    Kubernetes.AuditWebhook: the URL of a plugin
//	FALCOTEST_KUBERNETES_NODES Kubernetes.Nodes: how many nodes run pods (0)
//	FALCOTEST_KEEP             Kubernetes.Keep: 1: leave what actions made
//	FALCOTEST_NODES            Nodes.Selector: all, or labels of nodes
//	FALCOTEST_NODES_IMAGE      Nodes.Image: the image of this test binary
//	FALCOTEST_NODES_PULL_SECRETS
//	                           Nodes.PullSecrets: names, separated by commas
//	FALCOTEST_NODES_NAMESPACE  Nodes.Namespace: of the pods (falcotest)
//	FALCOTEST_NODES_CREATE_NAMESPACE
//	                           Nodes.CreateNamespace: 1: create it
//	FALCOTEST_NODES_PROFILE    Nodes.Profile: baseline or privileged (baseline)
//	FALCOTEST_NODES_PARALLEL   Nodes.Parallel: nodes at a time (50)
//	FALCOTEST_NODES_DEADLINE   Nodes.Deadline: how long one may take (10m)
//
// The package compiles everywhere; actions and the built-in engine need Linux.
package falcotest
