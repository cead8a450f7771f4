// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/falco"
	"github.com/falcotest/go-falcotest/internal/judge"
	"github.com/falcotest/go-falcotest/internal/outputs"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/source"
)

// remote is a Falco that runs already and whose configuration is not ours.
type remote struct {
	sub *outputs.Subscription
	j   *judge.Judge
	s   *Session
}

// openRemote subscribes to a Falco by gRPC, HTTP or a file.
func openRemote(ctx context.Context, t testing.TB, s *Session) (backend, error) {
	minimum, err := s.cfg.minimumStrength()
	if err != nil {
		return nil, err
	}
	ctx, cancel := beforeTimeout(ctx, t)
	defer cancel()
	sub, err := outputs.Open(ctx, s.cfg.falco, outputs.Options{Logf: t.Logf, Who: who(t)})
	if err != nil {
		return nil, fmt.Errorf("reaching the Falco that judges: %w", err)
	}
	if advice := secretPath(sub.Address()); advice != "" {
		t.Log(advice)
	}
	opts := judge.Options{
		Min: minimum, Timeout: s.cfg.timeout, NoPIDs: !hostPIDs(),
		Sentinels: s.sentinels(2 * time.Second),
		Unsure:    true,
	}
	return &remote{sub: sub, j: judge.New(sub, opts), s: s}, nil
}

func (r *remote) name() string { return falcoName(r.sub.Version(), withoutSecret(r.sub.Address())) }

// secretPath advises to have a secret in the URL where alerts are taken by HTTP
// and there is none.
func secretPath(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" {
		return ""
	}
	u.Path, u.RawQuery = "/"+rand.Text(), ""
	return fmt.Sprintf("whoever reaches %s can post alerts there. Put a secret into the path of FALCOTEST_FALCO, and have Falco post to it:\n  http_output:\n    enabled: true\n    url: %s", address, u)
}

// withoutSecret is the URL of a judge for reports: of one that takes alerts by
// HTTP without its path.
func withoutSecret(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return address
	}
	return u.Scheme + "://" + u.Host
}

// hostPIDs tells whether this process numbers processes as a Falco on the host
// does: whether it is in the machine's first PID namespace, whose inode number
// the kernel fixes (PROC_PID_INIT_INO). Where there is no /proc it cannot run
// actions anyway.
func hostPIDs() bool {
	ns, err := os.Readlink("/proc/self/ns/pid")
	return err == nil && ns == "pid:[4026531836]"
}

// falcoName says which Falco judges, and by which way its alerts come.
func falcoName(version, address string) string {
	if version == "" {
		return "the Falco at " + address
	}
	return fmt.Sprintf("Falco %s at %s", version, address)
}

func (r *remote) judge() *judge.Judge { return r.j }

// watch keeps the events of an action that are not traced, where they pass through
// here.
func (r *remote) watch(_ context.Context, c *child.Child, sel *plan.Action) (watcher, error) {
	if r.s.liveOf(sel) != nil {
		return r.s.keepLive(c.ID(), sel, r.s.explainLive, true), nil
	}
	return nil, nil
}

func (r *remote) unsupported(rule *rules.Rule) string {
	if live := r.s.live[rule.Source]; live != nil {
		if blind := live.Blind(); blind != "" {
			return r.name() + " does not see " + blind
		}
	}
	return ""
}

func (r *remote) needs(*plan.Action) []events.Need { return nil }

func (r *remote) ownNames() bool { return false }

func (r *remote) advice() string { return r.j.Advice() }

func (r *remote) close() error { return r.sub.Close() }

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
	j := judge.New(sub, judge.Options{Min: minimum, Timeout: s.cfg.timeout, Sentinels: sentinels, NoPIDs: !hostPIDs()})
	return &started{remote: remote{sub: sub, j: j, s: s}, falco: f}, nil
}

// falcoOptions are those of a Falco that judges the rules under test.
func (s *Session) falcoOptions(path string) (falco.Options, error) {
	opts := falco.Options{
		Path: path, EnableAll: s.enablesDisabled(), Fields: plan.Fields(s.chosen), Engine: s.cfg.falcoCfg.engine, Options: s.cfg.falcoCfg.options,
	}
	var err error
	if opts.Rules, err = absolute(s.files); err != nil {
		return opts, err
	}
	if opts.ExtraRules, err = absolute(s.cfg.falcoCfg.rules); err != nil {
		return opts, err
	}
	for _, text := range s.cfg.falcoCfg.plugins {
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
		return fmt.Sprintf("%s has no plugins %s: WithFalcoPlugins or FALCOTEST_FALCO_PLUGINS names them", e.name(), names)
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

// beforeTimeout ends the context before go test's -timeout ends the process, so
// that there is time to say what was waited for.
func beforeTimeout(ctx context.Context, t testing.TB) (context.Context, context.CancelFunc) {
	d, ok := t.(interface{ Deadline() (time.Time, bool) })
	if !ok {
		return ctx, func() {}
	}
	end, ok := d.Deadline()
	if !ok {
		return ctx, func() {}
	}
	left := time.Until(end)
	margin := min(left/2, max(left/10, 3*time.Second), 10*time.Second)
	return context.WithDeadlineCause(ctx, end.Add(-margin), errors.New("go test's -timeout is near"))
}

// who names this test to others that wait for the same Falco: its binary, which
// is named after the package, and itself.
func who(t testing.TB) string {
	return strings.TrimSuffix(filepath.Base(os.Args[0]), ".test") + " " + t.Name()
}
