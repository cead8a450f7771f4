// SPDX-License-Identifier: Apache-2.0

package config

import (
	"runtime"
	"time"
)

// The settings. Each has a variable and an option.
var (
	Falco = text(Setting{Variable: "FALCOTEST_FALCO", Option: "WithFalco", Unset: "builtin:",
		Doc: "who judges, by URL"})
	Rules = list(Setting{Variable: "FALCOTEST_RULES", Option: "WithRules", Unset: "rules/*.yaml, else Falco's own in /etc/falco",
		Doc: "the rules files under test, separated like PATH"}, paths)
	Actions = list(Setting{Variable: "FALCOTEST_ACTIONS", Option: "WithActions", Unset: "all that match a rule",
		Doc: "actions by name or regular expression, separated by commas"}, commas)
	TestFiles = list(Setting{Variable: "FALCOTEST_TEST_FILES", Option: "WithTestFiles", Unset: "*_falcotest.yaml beside the rules",
		Doc: "files of tests, separated like PATH"}, paths)
	Disabled = flag(Setting{Variable: "FALCOTEST_DISABLED", Option: "WithDisabledActions",
		Doc: "1: actions and rules that are disabled by default, too"}, false)

	Timeout = duration(Setting{Variable: "FALCOTEST_TIMEOUT", Option: "WithTimeout", Unset: "10s",
		Doc: "how long to wait for an alert after an action ended, where nothing else tells"}, 10*time.Second)
	Deadline = duration(Setting{Variable: "FALCOTEST_ACTION_DEADLINE", Option: "WithActionDeadline", Unset: "30s",
		Doc: "how long one action may run"}, 30*time.Second)
	Retries = number(Setting{Variable: "FALCOTEST_RETRIES", Option: "WithRetries", Unset: "2",
		Doc: "how often an inconclusive action is run again"}, 2, 0)
	Parallel = number(Setting{Variable: "FALCOTEST_PARALLEL", Option: "WithParallel", Unset: "4 for each processor",
		Doc: "how many actions run at the same time"}, 4*runtime.GOMAXPROCS(0), 1)
	MinCorrelation = oneOf(Setting{Variable: "FALCOTEST_MIN_CORRELATION", Option: "WithMinCorrelation", Unset: "time",
		Doc: "the weakest correlation that passes: environment, process, text or time"},
		"environment", "process", "text", "time")
	RuleMatching = oneOf(Setting{Variable: "FALCOTEST_RULE_MATCHING", Option: "WithRuleMatching", Unset: "all, with a warning of what first would miss",
		Doc: "all: every rule that matches an event alerts; first: the first that was loaded alone, as by Falco's default"},
		"all", "first")

	Strict = flag(Setting{Variable: "FALCOTEST_STRICT", Option: "WithStrict",
		Doc: "1: a skipped action fails its subtest"}, false)
	Report = list(Setting{Variable: "FALCOTEST_REPORT", Option: "WithReport",
		Doc: "write the results to these files, separated by commas; their names end in .json, .md, .html, .xml, .sarif, .cov, .navigator.json or .codequality.json"}, commas)
	Terminal = flag(Setting{Variable: "FALCOTEST_TERMINAL", Option: "WithTerminal", Unset: "1",
		Doc: "0: neither the progress nor the totals are written to the terminal itself, nor, in CI, the progress to the output"}, true)
	Record = text(Setting{Variable: "FALCOTEST_RECORD", Option: "WithRecord",
		Doc: "keep what each action did as a .scap file in this folder; judges builtin: and replay:"})
	Baseline = text(Setting{Variable: "FALCOTEST_BASELINE", Option: "WithBaseline",
		Doc: "the file with what was accepted of each rule; what is worse fails, -update accepts"})
	Base = text(Setting{Variable: "FALCOTEST_BASE", Option: "WithChangedSince",
		Doc: "run the tests of those rules alone that mean something else than at this git revision"})
	MinCoverage = fraction(Setting{Variable: "FALCOTEST_MIN_COVERAGE", Option: "WithMinCoverage",
		Doc: "the part of the rules, from 0 to 1, that tests must detect"})
	Coverage = flag(Setting{Variable: "FALCOTEST_COVERAGE", Option: "WithCoverage",
		Doc: "1: find out which clauses of the rules the tests decided"}, false)
	Mutations = flag(Setting{Variable: "FALCOTEST_MUTATIONS", Option: "WithMutations",
		Doc: "1: find out which faults in a rule no test would notice"}, false)
	Env = list(Setting{Variable: "FALCOTEST_ENV", Option: "WithEnv",
		Doc: "NAME=value pairs to add to the environment of the actions, separated by blanks"}, blanks)
	Hermetic = flag(Setting{Variable: "FALCOTEST_HERMETIC", Option: "WithHermetic", Unset: "1",
		Doc: "0: actions see the machine's own mounts, not folders that vanish with them"}, true)
	Container = oneOf(Setting{Variable: "FALCOTEST_CONTAINER", Option: "WithContainerEngine", Unset: "the first that answers",
		Doc: "the engine for actions that need a container: docker, podman or off"},
		"docker", "podman", "off")
	Image = text(Setting{Variable: "FALCOTEST_IMAGE", Option: "WithImage", Unset: "one of the test binary alone",
		Doc: "the image of their containers"})

	FalcoEngine = text(Setting{Variable: "FALCOTEST_FALCO_ENGINE", Option: "WithFalcoEngine", Unset: "modern_ebpf",
		Doc: "the engine kind of a Falco started by exec:"})
	FalcoOptions = list(Setting{Variable: "FALCOTEST_FALCO_OPTIONS", Option: "WithFalcoOptions",
		Doc: "more key=value options for it, as of Falco's -o, separated by blanks"}, blanks)
	FalcoRules = list(Setting{Variable: "FALCOTEST_FALCO_RULES", Option: "WithFalcoRules",
		Doc: "more rules files for it, loaded before those under test, separated like PATH"}, paths)
	FalcoPlugins = list(Setting{Variable: "FALCOTEST_FALCO_PLUGINS", Option: "WithFalcoPlugins",
		Doc: "more plugins for it, separated by blanks"}, blanks)

	Kubeconfig = text(Setting{Variable: "FALCOTEST_KUBECONFIG", Option: "Kubernetes.Kubeconfig",
		Doc: "the kubeconfig of a cluster that there is"})
	Context = text(Setting{Variable: "FALCOTEST_CONTEXT", Option: "Kubernetes.Context",
		Doc: "the kubeconfig's context"})
	Namespace = text(Setting{Variable: "FALCOTEST_NAMESPACE", Option: "Kubernetes.Namespace", Unset: "the context's",
		Doc: "where actions work that need no namespace of their own"})
	CreateNamespace = flag(Setting{Variable: "FALCOTEST_CREATE_NAMESPACE", Option: "Kubernetes.CreateNamespace",
		Doc: "1: create that namespace, and delete it at the end"}, false)
	AuditListen = text(Setting{Variable: "FALCOTEST_AUDIT_LISTEN", Option: "Kubernetes.AuditListen",
		Doc: "the URL where the built-in engine listens for the cluster's audit events"})
	AuditWebhook = text(Setting{Variable: "FALCOTEST_AUDIT_WEBHOOK", Option: "Kubernetes.AuditWebhook",
		Doc: "the URL of a Falco's plugin k8saudit, for the events of the API server that is started"})
	Keep = flag(Setting{Variable: "FALCOTEST_KEEP", Option: "Kubernetes.Keep",
		Doc: "1: leave what actions made in the cluster"}, false)
)
