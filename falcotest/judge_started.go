// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/falcotest/go-falcotest/internal/falco"
	"github.com/falcotest/go-falcotest/internal/outputs"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/source"
	"github.com/falcotest/go-falcotest/internal/verdict"
)

// started is a Falco that this session started with the rules under test.
type started struct {
	remote
	falco *falco.Falco
}

// openExec starts a Falco.
func openExec(ctx context.Context, t testing.TB, s *Session) (backend, error) {
	minimum, err := s.cfg.minimumStrength()
	if err != nil {
		return nil, err
	}
	path, err := falco.Executable(s.cfg.falco)
	if err != nil {
		return nil, fmt.Errorf("starting a Falco: %w", err)
	}
	opts, err := s.falcoOptions(path)
	if err != nil {
		return nil, fmt.Errorf("starting a Falco: %w", err)
	}
	opts.Outputs = outputs.Options{Who: who(t)}
	for _, src := range source.All() {
		if src.Plugin == nil || !slices.ContainsFunc(s.set.Rules, func(r *rules.Rule) bool { return r.Source == src.Name }) {
			continue
		}
		if opts.Plugins, err = falco.WithPlugins(path, src, opts.Plugins); err != nil {
			return nil, fmt.Errorf("starting a Falco: %w", err)
		}
	}
	if opts.Engine == "" && len(s.set.Rules) > 0 && !slices.ContainsFunc(s.set.Rules, ofDriver) {
		opts.Engine = falco.NoDriver
	}
	for name, live := range s.live {
		live.Forward(falco.Address(source.ByName(name), opts.Plugins))
	}
	f, err := falco.Start(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("starting a Falco: %w", err)
	}
	sub := f.Subscription()
	sentinels := f.Sentinels()
	for name, sentinel := range s.sentinels(200 * time.Millisecond) {
		if f.Has(source.ByName(name)) {
			sentinels[name] = sentinel
		}
	}
	j := verdict.New(sub, verdict.Options{Min: minimum, Timeout: s.cfg.timeout, Sentinels: sentinels, NoPIDs: !hostPIDs()})
	return &started{remote: remote{sub: sub, j: j, s: s}, falco: f}, nil
}

// falcoOptions are those of a Falco that judges the rules under test.
func (s *Session) falcoOptions(path string) (falco.Options, error) {
	opts := falco.Options{
		Path: path, EnableAll: s.enablesDisabled(), Fields: plan.Fields(s.chosen), Engine: s.cfg.exec.Engine, Options: s.cfg.exec.Options,
	}
	var err error
	if opts.Rules, err = absolute(s.files); err != nil {
		return opts, err
	}
	if opts.ExtraRules, err = absolute(s.cfg.exec.Rules); err != nil {
		return opts, err
	}
	for _, text := range s.cfg.exec.Plugins {
		p, err := falco.ParsePlugin(text)
		if err != nil {
			return opts, err
		}
		opts.Plugins = append(opts.Plugins, p)
	}
	return opts, nil
}

// ofDriver tells whether a rule is for events of Falco's driver.
func ofDriver(r *rules.Rule) bool { return source.ByName(r.Source).Plugin == nil }

// enablesDisabled tells whether any rule that its file disables is asked for.
// With rule_matching: all, further rules do not disturb those under test.
func (s *Session) enablesDisabled() bool {
	return slices.ContainsFunc(s.set.Rules, func(r *rules.Rule) bool { return !r.Enabled && s.enables(r) })
}

func (e *started) name() string { return falcoName(e.falco.Version(), e.falco.Path()) }

func (e *started) unsupported(rule *rules.Rule) string {
	if src := source.ByName(rule.Source); !ofDriver(rule) && !e.falco.Has(src) {
		names := strings.Join(append([]string{src.Plugin.Name}, src.Plugin.Beside...), " and ")
		return fmt.Sprintf("%s has no plugins %s: WithExec (Plugins) or FALCOTEST_FALCO_PLUGINS names them", e.name(), names)
	}
	return e.remote.unsupported(rule)
}

func (e *started) close() error { return e.falco.Close() }

// absolute makes paths independent of the folder that a Falco runs in.
func absolute(paths []string) ([]string, error) {
	var out []string
	for _, p := range paths {
		a, err := filepath.Abs(p)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}
