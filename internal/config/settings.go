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
	Rules = list(Setting{Variable: "FALCOTEST_RULES", Option: "WithRules", Unset: "rules",
		Doc: "rules files, as PATH"}, paths)
	Actions = list(Setting{Variable: "FALCOTEST_ACTIONS", Option: "WithActions", Unset: "all",
		Doc: "names, patterns, by comma"}, commas)
	TestFiles = list(Setting{Variable: "FALCOTEST_TEST_FILES", Option: "WithTestFiles", Unset: "beside rules",
		Doc: "of tests, as PATH"}, paths)
	Disabled = flag(Setting{Variable: "FALCOTEST_DISABLED", Option: "WithDisabledActions",
		Doc: "1: those disabled, too"}, false)

	Timeout = duration(Setting{Variable: "FALCOTEST_TIMEOUT", Option: "WithTimeout", Unset: "10s",
		Doc: "how long to wait for alerts"}, 10*time.Second)
	Deadline = duration(Setting{Variable: "FALCOTEST_ACTION_DEADLINE", Option: "WithActionDeadline", Unset: "30s",
		Doc: "how long one may run"}, 30*time.Second)
	Retries = number(Setting{Variable: "FALCOTEST_RETRIES", Option: "WithRetries", Unset: "2",
		Doc: "of inconclusive actions"}, 2, 0)
	Parallel = number(Setting{Variable: "FALCOTEST_PARALLEL", Option: "WithParallel", Unset: "4 a processor",
		Doc: "actions at a time"}, 4*runtime.GOMAXPROCS(0), 1)
	MinCorrelation = oneOf(Setting{Variable: "FALCOTEST_MIN_CORRELATION", Option: "WithMinCorrelation", Unset: "time",
		Doc: "weakest that passes"},
		"environment", "process", "text", "time")
	RuleMatching = oneOf(Setting{Variable: "FALCOTEST_RULE_MATCHING", Option: "WithRuleMatching", Unset: "all",
		Doc: "all, or first as Falco"},
		"all", "first")

	Strict = flag(Setting{Variable: "FALCOTEST_STRICT", Option: "WithStrict",
		Doc: "1: a skip fails"}, false)
	Report = list(Setting{Variable: "FALCOTEST_REPORT", Option: "WithReport",
		Doc: "files, separated by commas"}, commas)
	Terminal = flag(Setting{Variable: "FALCOTEST_TERMINAL", Option: "WithTerminal", Unset: "1",
		Doc: "0: tell no progress"}, true)
	Record = text(Setting{Variable: "FALCOTEST_RECORD", Option: "WithRecord",
		Doc: "a folder for recordings"})
	Baseline = text(Setting{Variable: "FALCOTEST_BASELINE", Option: "WithBaseline",
		Doc: "the file of what was accepted"})
	Base = text(Setting{Variable: "FALCOTEST_BASE", Option: "WithChangedSince",
		Doc: "a git revision"})
	MinCoverage = fraction(Setting{Variable: "FALCOTEST_MIN_COVERAGE", Option: "WithMinCoverage",
		Doc: "from 0 to 1"})
	Coverage = flag(Setting{Variable: "FALCOTEST_COVERAGE", Option: "WithCoverage",
		Doc: "1: which clauses were tested"}, false)
	Mutations = flag(Setting{Variable: "FALCOTEST_MUTATIONS", Option: "WithMutations",
		Doc: "1: which faults go unnoticed"}, false)
	Env = list(Setting{Variable: "FALCOTEST_ENV", Option: "WithEnv",
		Doc: "NAME=value, separated by blanks"}, blanks)
	Hermetic = flag(Setting{Variable: "FALCOTEST_HERMETIC", Option: "WithHermetic", Unset: "1",
		Doc: "0: no mounts of their own"}, true)
	Container = oneOf(Setting{Variable: "FALCOTEST_CONTAINER", Option: "WithContainerEngine",
		Doc: "docker, podman or off"},
		"docker", "podman", "off")
	Image = text(Setting{Variable: "FALCOTEST_IMAGE", Option: "WithImage",
		Doc: "the image of containers"})

	FalcoEngine = text(Setting{Variable: "FALCOTEST_FALCO_ENGINE", Option: "Exec.Engine", Unset: "modern_ebpf",
		Doc: "the engine kind"})
	FalcoOptions = list(Setting{Variable: "FALCOTEST_FALCO_OPTIONS", Option: "Exec.Options",
		Doc: "key=value, separated by blanks"}, blanks)
	FalcoRules = list(Setting{Variable: "FALCOTEST_FALCO_RULES", Option: "Exec.Rules",
		Doc: "rules files, separated like PATH"}, paths)
	FalcoPlugins = list(Setting{Variable: "FALCOTEST_FALCO_PLUGINS", Option: "Exec.Plugins",
		Doc: "separated by blanks"}, blanks)

	Kubeconfig = text(Setting{Variable: "FALCOTEST_KUBECONFIG", Option: "Kubernetes.Kubeconfig",
		Doc: "a file"})
	Context = text(Setting{Variable: "FALCOTEST_CONTEXT", Option: "Kubernetes.Context",
		Doc: "its context"})
	Namespace = text(Setting{Variable: "FALCOTEST_NAMESPACE", Option: "Kubernetes.Namespace",
		Doc: "of actions"})
	CreateNamespace = flag(Setting{Variable: "FALCOTEST_CREATE_NAMESPACE", Option: "Kubernetes.CreateNamespace",
		Doc: "1: create it"}, false)
	AuditListen = text(Setting{Variable: "FALCOTEST_AUDIT_LISTEN", Option: "Kubernetes.AuditListen",
		Doc: "a URL to listen at"})
	AuditWebhook = text(Setting{Variable: "FALCOTEST_AUDIT_WEBHOOK", Option: "Kubernetes.AuditWebhook",
		Doc: "the URL of a plugin"})
	KubernetesNodes = number(Setting{Variable: "FALCOTEST_KUBERNETES_NODES", Option: "Kubernetes.Nodes", Unset: "0",
		Doc: "how many nodes run pods"}, 0, 0)
	Keep = flag(Setting{Variable: "FALCOTEST_KEEP", Option: "Kubernetes.Keep",
		Doc: "1: leave what actions made"}, false)

	NodesSelector = text(Setting{Variable: "FALCOTEST_NODES", Option: "Nodes.Selector",
		Doc: "all, or labels of nodes"})
	NodesImage = text(Setting{Variable: "FALCOTEST_NODES_IMAGE", Option: "Nodes.Image",
		Doc: "the image of this test binary"})
	NodesPullSecrets = list(Setting{Variable: "FALCOTEST_NODES_PULL_SECRETS", Option: "Nodes.PullSecrets",
		Doc: "names, separated by commas"}, commas)
	NodesNamespace = text(Setting{Variable: "FALCOTEST_NODES_NAMESPACE", Option: "Nodes.Namespace", Unset: "falcotest",
		Doc: "of the pods"})
	NodesCreateNamespace = flag(Setting{Variable: "FALCOTEST_NODES_CREATE_NAMESPACE", Option: "Nodes.CreateNamespace",
		Doc: "1: create it"}, false)
	NodesProfile = oneOf(Setting{Variable: "FALCOTEST_NODES_PROFILE", Option: "Nodes.Profile", Unset: "baseline",
		Doc: "baseline or privileged"},
		"baseline", "privileged")
	NodesParallel = number(Setting{Variable: "FALCOTEST_NODES_PARALLEL", Option: "Nodes.Parallel", Unset: "50",
		Doc: "nodes at a time"}, 50, 1)
	NodesDeadline = duration(Setting{Variable: "FALCOTEST_NODES_DEADLINE", Option: "Nodes.Deadline", Unset: "10m",
		Doc: "how long one may take"}, 10*time.Minute)
)
