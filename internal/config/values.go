// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Settings are the values of all settings for one run; see those of the same names.
type Settings struct {
	Falco          string
	Rules          []string
	Actions        []string
	TestFiles      []string
	Disabled       bool
	Timeout        time.Duration
	Deadline       time.Duration
	Retries        int
	Parallel       int
	MinCorrelation string
	RuleMatching   string
	Strict         bool
	Report         []string
	Terminal       bool
	Record         string
	Baseline       string
	Base           string
	MinCoverage    float64
	Coverage       bool
	Mutations      bool
	Env            []string
	Hermetic       bool
	Container      string
	Image          string
	Exec           Exec
	Kubernetes     Kubernetes
	Nodes          Nodes
}

// Exec are those of how a Falco is started.
type Exec struct {
	Engine                  string
	Options, Rules, Plugins []string
}

// Kubernetes are those of the cluster that actions work on.
type Kubernetes struct {
	Kubeconfig, Context string
	Namespace           string
	CreateNamespace     bool
	AuditListen         string
	AuditWebhook        string
	Nodes               int
	Keep                bool
}

// Nodes are those of a run on the nodes of a cluster.
type Nodes struct {
	Selector        string
	Image           string
	PullSecrets     []string
	Namespace       string
	CreateNamespace bool
	Profile         string
	Parallel        int
	Deadline        time.Duration
}

// New returns the defaults.
func New() Settings {
	return Settings{
		Timeout: Timeout.Default, Deadline: Deadline.Default, Retries: Retries.Default, Parallel: Parallel.Default,
		Hermetic: Hermetic.Default, Terminal: Terminal.Default,
	}
}

// Complete checks what options set, and overrides it by what the environment sets, or
// adds that to what is a list of Exec's, or of variables of the environment.
func (s *Settings) Complete() error {
	err := errors.Join(Timeout.Valid(s.Timeout), Deadline.Valid(s.Deadline), Retries.Valid(s.Retries),
		Parallel.Valid(s.Parallel), KubernetesNodes.Valid(s.Kubernetes.Nodes), MinCorrelation.Valid(s.MinCorrelation), RuleMatching.Valid(s.RuleMatching), Container.Valid(s.Container), MinCoverage.Valid(s.MinCoverage))
	if err != nil {
		return fmt.Errorf("reading the options: %w", err)
	}
	Falco.Override(&s.Falco)
	Rules.Override(&s.Rules)
	Actions.Override(&s.Actions)
	TestFiles.Override(&s.TestFiles)
	Disabled.Override(&s.Disabled)
	Timeout.Override(&s.Timeout)
	Deadline.Override(&s.Deadline)
	Retries.Override(&s.Retries)
	Parallel.Override(&s.Parallel)
	MinCorrelation.Override(&s.MinCorrelation)
	RuleMatching.Override(&s.RuleMatching)
	Strict.Override(&s.Strict)
	Report.Override(&s.Report)
	Terminal.Override(&s.Terminal)
	Record.Override(&s.Record)
	Baseline.Override(&s.Baseline)
	Base.Override(&s.Base)
	MinCoverage.Override(&s.MinCoverage)
	Coverage.Override(&s.Coverage)
	Mutations.Override(&s.Mutations)
	Hermetic.Override(&s.Hermetic)
	Container.Override(&s.Container)
	Image.Override(&s.Image)
	FalcoEngine.Override(&s.Exec.Engine)
	s.Env = append(s.Env, Env.Get()...)
	s.Exec.Options = append(s.Exec.Options, FalcoOptions.Get()...)
	s.Exec.Rules = append(s.Exec.Rules, FalcoRules.Get()...)
	s.Exec.Plugins = append(s.Exec.Plugins, FalcoPlugins.Get()...)
	Kubeconfig.Override(&s.Kubernetes.Kubeconfig)
	Context.Override(&s.Kubernetes.Context)
	Namespace.Override(&s.Kubernetes.Namespace)
	CreateNamespace.Override(&s.Kubernetes.CreateNamespace)
	AuditListen.Override(&s.Kubernetes.AuditListen)
	AuditWebhook.Override(&s.Kubernetes.AuditWebhook)
	KubernetesNodes.Override(&s.Kubernetes.Nodes)
	Keep.Override(&s.Kubernetes.Keep)
	if s.Nodes.Parallel == 0 {
		s.Nodes.Parallel = NodesParallel.Default
	}
	if s.Nodes.Deadline == 0 {
		s.Nodes.Deadline = NodesDeadline.Default
	}
	if err := errors.Join(NodesParallel.Valid(s.Nodes.Parallel), NodesDeadline.Valid(s.Nodes.Deadline), NodesProfile.Valid(s.Nodes.Profile)); err != nil {
		return fmt.Errorf("reading the options: %w", err)
	}
	NodesSelector.Override(&s.Nodes.Selector)
	NodesImage.Override(&s.Nodes.Image)
	NodesPullSecrets.Override(&s.Nodes.PullSecrets)
	NodesNamespace.Override(&s.Nodes.Namespace)
	NodesCreateNamespace.Override(&s.Nodes.CreateNamespace)
	NodesProfile.Override(&s.Nodes.Profile)
	NodesParallel.Override(&s.Nodes.Parallel)
	NodesDeadline.Override(&s.Nodes.Deadline)
	if s.Falco == "" {
		s.Falco = "builtin:"
	}
	return nil
}

// KeepsEvents tells whether the events of actions are judged again after the run.
func (s *Settings) KeepsEvents() bool { return s.Coverage || s.Mutations }

// OfDriver tells whether a variable is for who drives a run on nodes, and not for the
// pods on them.
func OfDriver(name string) bool {
	if OfProcess(name) || strings.HasPrefix(name, NodesSelector.Variable) {
		return true
	}
	for _, s := range []Setting{
		Falco.Setting, // the pods are told by their manifest
		Strict.Setting, Report.Setting, Terminal.Setting, Record.Setting, Baseline.Setting, Base.Setting, MinCoverage.Setting,
		Coverage.Setting, Mutations.Setting, Kubeconfig.Setting, Context.Setting, Namespace.Setting, CreateNamespace.Setting,
		AuditListen.Setting, AuditWebhook.Setting, Keep.Setting,
	} {
		if s.Variable == name {
			return true
		}
	}
	return false
}

// InPod takes from the settings what is for who drives a run on nodes.
func (s *Settings) InPod() {
	s.Nodes, s.Kubernetes = Nodes{}, Kubernetes{}
	s.Report, s.Terminal, s.Record, s.Baseline, s.Base = nil, false, "", "", ""
	s.MinCoverage, s.Coverage, s.Mutations = 0, false, false
}

// Judge is the scheme of the URL that says who judges.
func (s *Settings) Judge() string {
	scheme, _, ok := strings.Cut(s.Falco, ":")
	if !ok {
		return ""
	}
	return scheme
}

// LoadsRules tells whether who judges loads the rules under test.
func (s *Settings) LoadsRules() bool {
	switch s.Judge() {
	case "builtin", "exec", "replay":
		return true
	}
	return false
}
