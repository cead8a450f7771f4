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
// CAPTURES.md (recordings). On the web they are at
// https://github.com/falcotest/go-falcotest/tree/main/falcotest.
//
// # Settings
//
// Each setting is an option, here with its default in parentheses, and a
// variable of the environment, which overrides what the test's code says, or
// adds to it where it says more:
//
//	FALCOTEST_FALCO            WithFalco: who judges, by URL (builtin:)
//	FALCOTEST_RULES            WithRules: the rules files under test, separated
//	                           like PATH (rules/*.yaml, else Falco's own in
//	                           /etc/falco)
//	FALCOTEST_ACTIONS          WithActions: actions by name or regular
//	                           expression, separated by commas (all that match
//	                           a rule)
//	FALCOTEST_TEST_FILES       WithTestFiles: files of tests, separated like
//	                           PATH (*_falcotest.yaml beside the rules)
//	FALCOTEST_DISABLED         WithDisabledActions: 1: actions and rules that
//	                           are disabled by default, too
//	FALCOTEST_TIMEOUT          WithTimeout: how long to wait for an alert after
//	                           an action ended, where nothing else tells (10s)
//	FALCOTEST_ACTION_DEADLINE  WithActionDeadline: how long one action may run
//	                           (30s)
//	FALCOTEST_RETRIES          WithRetries: how often an inconclusive action is
//	                           run again (2)
//	FALCOTEST_PARALLEL         WithParallel: how many actions run at the same
//	                           time (4 for each processor)
//	FALCOTEST_MIN_CORRELATION  WithMinCorrelation: the weakest correlation that
//	                           passes: environment, process, text or time
//	                           (time)
//	FALCOTEST_RULE_MATCHING    WithRuleMatching: all: every rule that matches
//	                           an event alerts; first: the first that was
//	                           loaded alone, as by Falco's default (all, with a
//	                           warning of what first would miss)
//	FALCOTEST_STRICT           WithStrict: 1: a skipped action fails its
//	                           subtest
//	FALCOTEST_REPORT           WithReport: write the results to these files,
//	                           separated by commas; their names end in .json,
//	                           .md, .html, .xml, .sarif, .cov, .navigator.json
//	                           or .codequality.json
//	FALCOTEST_TERMINAL         WithTerminal: 0: neither the progress nor the
//	                           totals are written to the terminal itself, nor,
//	                           in CI, the progress to the output (1)
//	FALCOTEST_RECORD           WithRecord: keep what each action did as a .scap
//	                           file in this folder; judges builtin: and replay:
//	FALCOTEST_BASELINE         WithBaseline: the file with what was accepted of
//	                           each rule; what is worse fails, -update accepts
//	FALCOTEST_BASE             WithChangedSince: run the tests of those rules
//	                           alone that mean something else than at this git
//	                           revision
//	FALCOTEST_MIN_COVERAGE     WithMinCoverage: the part of the rules, from 0
//	                           to 1, that tests must detect
//	FALCOTEST_COVERAGE         WithCoverage: 1: find out which clauses of the
//	                           rules the tests decided
//	FALCOTEST_MUTATIONS        WithMutations: 1: find out which faults in a
//	                           rule no test would notice
//	FALCOTEST_ENV              WithEnv: NAME=value pairs to add to the
//	                           environment of the actions, separated by blanks
//	FALCOTEST_HERMETIC         WithHermetic: 0: actions see the machine's own
//	                           mounts, not folders that vanish with them (1)
//	FALCOTEST_CONTAINER        WithContainerEngine: the engine for actions that
//	                           need a container: docker, podman or off (the
//	                           first that answers)
//	FALCOTEST_IMAGE            WithImage: the image of their containers (one of
//	                           the test binary alone)
//	FALCOTEST_FALCO_ENGINE     WithFalcoEngine: the engine kind of a Falco
//	                           started by exec: (modern_ebpf)
//	FALCOTEST_FALCO_OPTIONS    WithFalcoOptions: more key=value options for it,
//	                           as of Falco's -o, separated by blanks
//	FALCOTEST_FALCO_RULES      WithFalcoRules: more rules files for it, loaded
//	                           before those under test, separated like PATH
//	FALCOTEST_FALCO_PLUGINS    WithFalcoPlugins: more plugins for it, separated
//	                           by blanks
//	FALCOTEST_KUBECONFIG       Kubernetes.Kubeconfig: the kubeconfig of a
//	                           cluster that there is
//	FALCOTEST_CONTEXT          Kubernetes.Context: the kubeconfig's context
//	FALCOTEST_NAMESPACE        Kubernetes.Namespace: where actions work that
//	                           need no namespace of their own (the context's)
//	FALCOTEST_CREATE_NAMESPACE Kubernetes.CreateNamespace: 1: create that
//	                           namespace, and delete it at the end
//	FALCOTEST_AUDIT_LISTEN     Kubernetes.AuditListen: the URL where the
//	                           built-in engine listens for the cluster's audit
//	                           events
//	FALCOTEST_AUDIT_WEBHOOK    Kubernetes.AuditWebhook: the URL of a Falco's
//	                           plugin k8saudit, for the events of the API
//	                           server that is started
//	FALCOTEST_KEEP             Kubernetes.Keep: 1: leave what actions made in
//	                           the cluster
//
// The package compiles everywhere; actions and the built-in engine need Linux.
package falcotest
