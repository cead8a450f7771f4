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
// # Environment
//
// The environment overrides what the test's code says, for CI:
//
//	FALCOTEST_FALCO            who judges, as [WithFalco]
//	FALCOTEST_RULES            rules files, as [WithRules]; separated like PATH
//	FALCOTEST_ACTIONS          actions, as [WithActions]; separated by commas
//	FALCOTEST_DISABLED         1: disabled actions and rules too, as [WithDisabledActions]
//	FALCOTEST_TIMEOUT          as [WithTimeout], e.g. 20s
//	FALCOTEST_RETRIES          as [WithRetries]
//	FALCOTEST_PARALLEL         how many actions run at the same time
//	FALCOTEST_MIN_CORRELATION  the weakest correlation that passes: environment,
//	                           process, text or time
//	FALCOTEST_STRICT           1: a skipped action fails its subtest
//	FALCOTEST_HERMETIC         0: actions see the machine's own mounts
//	FALCOTEST_CONTAINER        docker, podman or off: the engine for actions
//	                           that need a container
//	FALCOTEST_FALCO_RULES      more rules files for a Falco started by exec:, as
//	                           [WithFalcoRules]; separated like PATH
//	FALCOTEST_FALCO_PLUGINS    and more plugins, as [WithFalcoPlugins]; separated
//	                           by spaces
//	FALCOTEST_KUBECONFIG, FALCOTEST_CONTEXT, FALCOTEST_NAMESPACE,
//	FALCOTEST_AUDIT_WEBHOOK    the cluster, as in [Kubernetes]
//	FALCOTEST_KEEP             1: leave what actions made in the cluster
//	FALCOTEST_REPORT           write the results to this file: JSON, or Markdown
//	                           where its name ends in .md
//
// The package compiles everywhere; actions and the built-in engine need Linux.
package falcotest
