// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"fmt"
	"strings"
	"time"

	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/report"
)

// Option changes how [Run] and [Start] work. Every option has a default, and an
// environment variable that overrides it or adds to it.
type Option func(*settings)

// settings are what options set.
type settings struct {
	config.Settings
	expectations map[string]Expectation // by action
	onlyFiles    bool                   // run no actions
}

// WithRules names the rules files under test, by glob patterns relative to the
// test's folder; a folder stands for the .yaml and .yml files in it, and a glob
// for those that it matches; what else is there is left out, with a warning. They
// are loaded in the order given, those of one pattern by name, where x.local.yaml
// comes after x.yaml. Default: rules/*.yaml, else
// what Falco itself loads by default from /etc/falco.
func WithRules(globs ...string) Option {
	return func(c *settings) { c.Rules = append(c.Rules, globs...) }
}

// WithFalco says which Falco judges, by URL. Default: builtin.
//
//	builtin:                                     the built-in engine: no install, no privileges
//	unix:///run/falco/falco.sock                 the gRPC outputs API of Falco 0.43 and older
//	grpcs://host:5060?cert=…&key=…&ca=…          the same over the network, mutual TLS
//	exec:///usr/bin/falco                        start that Falco with the rules under test
//	replay:///usr/bin/falco                      trace the actions here, let that Falco judge the recordings: no privileges
//	http://127.0.0.1:2801                        listen there for Falco's http_output
//	file:///var/log/falco.json                   follow Falco's file_output in JSON
func WithFalco(url string) Option {
	return func(c *settings) { c.Falco = url }
}

// WithActions selects actions by name, or by regular expression: a pattern that
// is no registered name must match a whole name. Named actions run also when
// they are disabled by default. Default: all that match a rule under test and
// are not disabled.
func WithActions(patterns ...string) Option {
	return func(c *settings) { c.Actions = append(c.Actions, patterns...) }
}

// WithTestFiles names files of tests that run beside the actions, by glob
// patterns relative to the test's folder; see [RunFiles]. Default: the files
// *_falcotest.yaml beside the rules under test.
func WithTestFiles(globs ...string) Option {
	return func(c *settings) { c.TestFiles = append(c.TestFiles, globs...) }
}

// WithDisabledActions selects the actions that are disabled by default too, and
// enables the rules that are.
func WithDisabledActions() Option {
	return func(c *settings) { c.Disabled = true }
}

// WithTimeout bounds the wait for an alert after an action ended, where nothing
// else tells that it is not coming. Default: 10 s. The built-in engine and a
// Falco started by exec: tell, and do not wait.
func WithTimeout(d time.Duration) Option {
	return func(c *settings) { c.Timeout = d }
}

// WithActionDeadline bounds the run of one action. Default: 30 s.
func WithActionDeadline(d time.Duration) Option {
	return func(c *settings) { c.Deadline = d }
}

// WithRetries says how often an inconclusive action is run again. Default: 2.
func WithRetries(n int) Option {
	return func(c *settings) { c.Retries = n }
}

// WithEnv adds "NAME=value" pairs to the environment of the actions.
func WithEnv(env ...string) Option {
	return func(c *settings) { c.Env = append(c.Env, env...) }
}

// WithImage names the image of the containers made for actions that need one.
// It must have been pulled. Default: an image of the test binary alone.
func WithImage(name string) Option {
	return func(c *settings) { c.Image = name }
}

// WithParallel says how many actions run at the same time. Default: four for
// each processor.
func WithParallel(n int) Option {
	return func(c *settings) { c.Parallel = n }
}

// WithMinCorrelation says what a pass requires to connect an alert with its
// action: "environment", "process", "text" or "time", the strongest first.
// Default: "time".
func WithMinCorrelation(name string) Option {
	return func(c *settings) { c.MinCorrelation = name }
}

// WithRuleMatching says how to judge an event that several rules match: "all" as
// if each of them alerted, or "first" as if only the one that was loaded first
// did, Falco's default. Default: "all", with a warning of each rule that would
// not alert with "first", which names the one before it.
func WithRuleMatching(name string) Option {
	return func(c *settings) { c.RuleMatching = strings.ToLower(name) }
}

// WithStrict makes a skipped action fail its subtest.
func WithStrict() Option {
	return func(c *settings) { c.Strict = true }
}

// WithReport writes the results to files, each in the format that the end of its
// name says: .json (all of it, see report.schema.json), .md (Markdown), .html (a page),
// .xml (JUnit), .sarif (code scanning), .codequality.json (GitLab), .navigator.json (a
// layer of the ATT&CK Navigator), .cov (which clauses of the rules were tested, as a Go
// cover profile). The packages of one go test write into the same reports, whatever
// their order; what they have in common is kept beside the first, in a folder whose
// name ends in .parts. On GitHub, Markdown goes into the job's summary by itself.
func WithReport(files ...string) Option {
	return func(c *settings) { c.Report = append(c.Report, files...) }
}

// WithTerminal says whether the progress of a run, its totals and what it did not
// verify are written to the terminal itself, where there is one: go test shows nothing
// of packages that pass. In CI the progress alone is, as plain lines of the output that
// go test -v shows. Default: true; never with -json.
func WithTerminal(on bool) Option {
	return func(c *settings) { c.Terminal = on }
}

// WithRecord keeps what each action did as a recording in a folder, ACTION.scap,
// which Falco replays and [Replay] judges. It needs a judge for whom the actions
// are traced: builtin: or replay:. What a recording holds that may be secret is
// said in CAPTURES.md.
func WithRecord(folder string) Option {
	return func(c *settings) { c.Record = folder }
}

// WithBaseline compares the outcome of each rule with what was accepted before and
// stands in a file, by custom testdata/falcotest.golden. Regressions fail the
// test: a rule that was detected and is missed, skipped, disabled, shadowed or gone
// now, or whose priority is lower. What else differs is said: rules that are new,
// renamed, detected at last. An outcome that is so for want of something on this
// machine, such as root or a container engine, is no regression.
//
// go test -update writes the file; look at the difference before you commit it. A
// rule that is missed and may be gets its reason behind a # at the end of its line.
func WithBaseline(file string) Option {
	return func(c *settings) { c.Baseline = file }
}

// WithChangedSince runs the tests of those rules alone that mean something else
// than at a git revision, such as origin/main: where HEAD departed from it. A rule
// changed when its condition, exceptions included, its output, priority, tags or
// source, whether it is enabled, or its place behind rules for the same events is
// another: through macros, lists and overrides in whatever file. Comments,
// formatting and the order of a list's items mean nothing.
//
// The program git reads the revision. The checkout must reach back to it: in a
// pull request's workflow, fetch the whole history.
func WithChangedSince(revision string) Option {
	return func(c *settings) { c.Base = revision }
}

// WithMinCoverage fails the test when less than this part of the rules, from 0 to
// 1, is detected by a test. Disabled rules do not count.
func WithMinCoverage(part float64) Option {
	return func(c *settings) { c.MinCoverage = part }
}

// WithCoverage finds out which clauses of the conditions decided anything in the
// events of a rule's own tests, and which exceptions and list items no test needs;
// the reports show it. It needs the built-in engine.
func WithCoverage() Option {
	return func(c *settings) { c.Coverage = true }
}

// WithMutations puts faults into the rules, of those alone that [WithChangedSince]
// selects if it does: each clause left out, turned into its opposite, its constant
// altered or taken out of its list. The events of the rule's tests are judged again,
// no action runs twice. A fault that no test notices is a hole in the tests; the
// reports show it at its line. It needs the built-in engine.
func WithMutations() Option {
	return func(c *settings) { c.Mutations = true }
}

// WithHermetic says whether actions run in folders that vanish with them, where
// the kernel allows it. Default: true.
func WithHermetic(on bool) Option {
	return func(c *settings) { c.Hermetic = on }
}

// WithContainerEngine names the engine for actions that need a container:
// "docker", "podman", or "off" for none. Default: the first that answers.
func WithContainerEngine(name string) Option {
	return func(c *settings) { c.Container = name }
}

// newSettings applies options, then the environment.
func newSettings(opts []Option) (*settings, error) {
	if err := config.Check(); err != nil {
		return nil, err
	}
	c := &settings{Settings: config.New()}
	for _, o := range opts {
		if o != nil {
			o(c)
		}
	}
	if err := c.Complete(); err != nil {
		return nil, err
	}
	if err := report.Check(c.Report); err != nil {
		return nil, fmt.Errorf("reading WithReport and %s: %w", config.Report.Variable, err)
	}
	return c, nil
}
