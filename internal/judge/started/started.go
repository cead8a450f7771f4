// SPDX-License-Identifier: Apache-2.0

// Package started has a Falco judge that it starts, with the rules under test and a
// configuration for them.
//
// It imports internal/judge, whose interface it implements, internal/falco, which
// starts the Falco, and internal/judge/running for what it has in common with others.
package started

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/falcotest/go-falcotest/internal/falco"
	"github.com/falcotest/go-falcotest/internal/judge"
	"github.com/falcotest/go-falcotest/internal/judge/running"
	"github.com/falcotest/go-falcotest/internal/outputs"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/source"
	"github.com/falcotest/go-falcotest/internal/verdict"
)

// Falco is one that was started with the rules under test.
type Falco struct {
	*running.Falco
	started *falco.Falco
}

// Open starts a Falco.
func Open(ctx context.Context, b *judge.Brief) (*Falco, error) {
	minimum, err := b.Minimum()
	if err != nil {
		return nil, err
	}
	path, err := falco.Executable(b.Settings.Falco, "exec")
	if err != nil {
		return nil, fmt.Errorf("starting a Falco: %w", err)
	}
	opts, err := b.FalcoOptions(path)
	if err != nil {
		return nil, fmt.Errorf("starting a Falco: %w", err)
	}
	opts.Outputs = outputs.Options{Who: b.Who}
	for _, src := range source.All() {
		if src.Plugin == nil || !slices.ContainsFunc(b.Plan.Rules.Rules, func(r *rules.Rule) bool { return r.Source == src.Name }) {
			continue
		}
		if opts.Plugins, err = falco.WithPlugins(path, src, opts.Plugins); err != nil {
			return nil, fmt.Errorf("starting a Falco: %w", err)
		}
	}
	if opts.Engine == "" && len(b.Plan.Rules.Rules) > 0 && !slices.ContainsFunc(b.Plan.Rules.Rules, judge.OfDriver) {
		opts.Engine = falco.NoDriver
	}
	for name, live := range b.Streams {
		live.Forward(falco.Address(source.ByName(name), opts.Plugins))
	}
	f, err := falco.Start(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("starting a Falco: %w", err)
	}
	sub := f.Subscription()
	sentinels := f.Sentinels()
	for name, sentinel := range b.Sentinels(200 * time.Millisecond) {
		if f.Has(source.ByName(name)) {
			sentinels[name] = sentinel
		}
	}
	decide := verdict.Options{Min: minimum, Timeout: b.Settings.Timeout, Sentinels: sentinels, NoPIDs: !judge.HostPIDs()}
	return &Falco{Falco: running.On(sub, decide, b), started: f}, nil
}

// Name says which program it is.
func (f *Falco) Name() string { return judge.FalcoName(f.started.Version(), f.started.Path()) }

// Exact is true: it is configured to print whose an alert is.
func (f *Falco) Exact() bool { return true }

// Unsupported tells of a rule for whose source it has no plugin, too.
func (f *Falco) Unsupported(rule *rules.Rule) string {
	if src := source.ByName(rule.Source); !judge.OfDriver(rule) && !f.started.Has(src) {
		names := strings.Join(append([]string{src.Plugin.Name}, src.Plugin.Beside...), " and ")
		return fmt.Sprintf("%s has no plugins %s: WithExec (Plugins) or FALCOTEST_FALCO_PLUGINS names them", f.Name(), names)
	}
	return f.Falco.Unsupported(rule)
}

// Close stops it.
func (f *Falco) Close() error { return f.started.Close() }
