// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Option changes how [Run] and [Start] work. Every option has a default, and
// most an environment variable that overrides it.
type Option func(*config)

type config struct {
	rules    []string
	falco    string
	actions  []string
	disabled bool
	timeout  time.Duration
	deadline time.Duration
	retries  int
	parallel int
	strict   bool
	hermetic bool
	minimum  string // the weakest correlation that passes
	report   string
	env      []string
	kube     *Kubernetes
	falcoCfg falcoConfig
	image    string
	engine   string // the container engine, "" for automatic
}

// falcoConfig is what exec: passes to the Falco that it starts.
type falcoConfig struct {
	engine  string
	options []string
	plugins []string
	rules   []string
}

// WithRules names the rules files under test, by glob patterns relative to the
// test's folder; a folder stands for the .yaml files in it. They are loaded in
// the order given, those of one pattern by name. Default: rules/*.yaml, else
// what Falco itself loads by default from /etc/falco.
func WithRules(globs ...string) Option {
	return func(c *config) { c.rules = append(c.rules, globs...) }
}

// WithFalco says which Falco judges, by URL. Default: builtin.
//
//	builtin:                                     the built-in engine: no install, no privileges
//	unix:///run/falco/falco.sock                 the gRPC outputs API of Falco 0.43 and older
//	grpcs://host:5060?cert=…&key=…&ca=…          the same over the network, mutual TLS
//	exec:///usr/bin/falco                        start that Falco with the rules under test
//	http://127.0.0.1:2801                        listen there for Falco's http_output
//	file:///var/log/falco.json                   follow Falco's file_output in JSON
func WithFalco(url string) Option {
	return func(c *config) { c.falco = url }
}

// WithActions selects actions by name, or by regular expression: a pattern that
// is no registered name must match a whole name. Named actions run also when
// they are disabled by default. Default: all that match a rule under test and
// are not disabled.
func WithActions(patterns ...string) Option {
	return func(c *config) { c.actions = append(c.actions, patterns...) }
}

// WithDisabledActions selects the actions that are disabled by default too, and
// enables the rules that are.
func WithDisabledActions() Option {
	return func(c *config) { c.disabled = true }
}

// WithTimeout bounds the wait for an alert after an action ended, where nothing
// else tells that it is not coming. Default: 10 s. The built-in engine and a
// Falco started by exec: tell, and do not wait.
func WithTimeout(d time.Duration) Option {
	return func(c *config) { c.timeout = d }
}

// WithActionDeadline bounds the run of one action. Default: 30 s.
func WithActionDeadline(d time.Duration) Option {
	return func(c *config) { c.deadline = d }
}

// WithRetries says how often an inconclusive action is run again. Default: 2.
func WithRetries(n int) Option {
	return func(c *config) { c.retries = n }
}

// WithEnv adds "NAME=value" pairs to the environment of the actions.
func WithEnv(env ...string) Option {
	return func(c *config) { c.env = append(c.env, env...) }
}

// WithImage names the image of the containers made for actions that need one.
// It must have been pulled. Default: an image of the test binary alone.
func WithImage(name string) Option {
	return func(c *config) { c.image = name }
}

// WithFalcoEngine names the engine kind of a Falco started by exec:, e.g.
// "kmod". Default: "modern_ebpf", or "nodriver", which needs no privileges,
// where all rules under test are for Kubernetes audit events.
func WithFalcoEngine(kind string) Option {
	return func(c *config) { c.falcoCfg.engine = kind }
}

// WithFalcoPlugins names plugins that a Falco started by exec: loads, each as
// NAME=LIBRARY, or NAME=LIBRARY,OPENPARAMS for a source of events, beside those
// that are found: the container plugin, and for rules on Kubernetes audit events
// k8saudit and json, if they are installed where Falco's packages and falcoctl
// put them. FALCOTEST_FALCO_PLUGINS adds to them, separated by spaces.
//
// k8saudit is to listen at its open parameters, where the API server's audit
// events go to:
//
//	falcotest.WithFalcoPlugins(
//		"k8saudit=/opt/plugins/libk8saudit.so,http://127.0.0.1:9765/k8s-audit",
//		"json=/opt/plugins/libjson.so",
//	)
//
// With such plugins the Falco runs with GOMAXPROCS=1, unless that is set already:
// with more, plugins written in Go extract fields in a goroutine beside Falco's
// thread, which keeps each audit event waiting for 0.7 s on a machine of two
// processors.
func WithFalcoPlugins(plugins ...string) Option {
	return func(c *config) { c.falcoCfg.plugins = append(c.falcoCfg.plugins, plugins...) }
}

// WithFalcoOptions passes "key=value" options, as of Falco's -o, to a Falco
// started by exec:.
func WithFalcoOptions(options ...string) Option {
	return func(c *config) { c.falcoCfg.options = append(c.falcoCfg.options, options...) }
}

// WithFalcoRules names further rules files for a Falco started by exec:, loaded
// before those under test. FALCOTEST_FALCO_RULES adds to them.
func WithFalcoRules(paths ...string) Option {
	return func(c *config) { c.falcoCfg.rules = append(c.falcoCfg.rules, paths...) }
}

func newConfig(opts []Option) (*config, error) {
	c := &config{
		timeout:  10 * time.Second,
		deadline: 30 * time.Second,
		retries:  2,
		parallel: 4 * runtime.GOMAXPROCS(0),
		hermetic: true,
	}
	for _, o := range opts {
		if o != nil {
			o(c)
		}
	}
	env := environment{}
	env.text("FALCOTEST_FALCO", &c.falco)
	env.list("FALCOTEST_RULES", string(filepath.ListSeparator), &c.rules)
	env.list("FALCOTEST_ACTIONS", ",", &c.actions)
	env.flag("FALCOTEST_DISABLED", &c.disabled)
	env.duration("FALCOTEST_TIMEOUT", &c.timeout)
	env.number("FALCOTEST_RETRIES", 0, &c.retries)
	env.number("FALCOTEST_PARALLEL", 1, &c.parallel)
	env.text("FALCOTEST_MIN_CORRELATION", &c.minimum)
	env.flag("FALCOTEST_STRICT", &c.strict)
	env.flag("FALCOTEST_HERMETIC", &c.hermetic)
	env.text("FALCOTEST_CONTAINER", &c.engine)
	env.text("FALCOTEST_REPORT", &c.report)
	var more []string
	env.list("FALCOTEST_FALCO_RULES", string(filepath.ListSeparator), &more)
	c.falcoCfg.rules = append(c.falcoCfg.rules, more...)
	var plugins []string
	env.list("FALCOTEST_FALCO_PLUGINS", " ", &plugins)
	c.falcoCfg.plugins = append(c.falcoCfg.plugins, plugins...)
	if c.falco == "" {
		c.falco = "builtin:"
	}
	switch c.engine {
	case "", "docker", "podman", "off":
	default:
		env.fail("FALCOTEST_CONTAINER", "want docker, podman or off")
	}
	return c, env.err
}

// environment reads variables that override options, and keeps the first error.
type environment struct {
	err error
}

func (e *environment) fail(name, want string) {
	if e.err == nil {
		e.err = fmt.Errorf("reading the environment: %s=%q: %s", name, os.Getenv(name), want)
	}
}

func (e *environment) text(name string, to *string) {
	if s := os.Getenv(name); s != "" {
		*to = s
	}
}

func (e *environment) list(name, separator string, to *[]string) {
	if s := os.Getenv(name); s != "" {
		*to = strings.Split(s, separator)
	}
}

func (e *environment) flag(name string, to *bool) {
	if s := os.Getenv(name); s != "" {
		b, err := strconv.ParseBool(s)
		if err != nil {
			e.fail(name, "want 1 or 0")
			return
		}
		*to = b
	}
}

func (e *environment) duration(name string, to *time.Duration) {
	if s := os.Getenv(name); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil || d <= 0 {
			e.fail(name, "want a duration such as 20s")
			return
		}
		*to = d
	}
}

func (e *environment) number(name string, least int, to *int) {
	if s := os.Getenv(name); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < least {
			e.fail(name, fmt.Sprintf("want a number from %d", least))
			return
		}
		*to = n
	}
}
