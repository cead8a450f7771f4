// SPDX-License-Identifier: Apache-2.0

// Package running has a Falco judge that runs already, and whose configuration is not
// ours: its alerts come by gRPC, HTTP or a file.
//
// It imports internal/judge, whose interface it implements, and internal/outputs.
package running

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/judge"
	"github.com/falcotest/go-falcotest/internal/outputs"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/verdict"
)

// Falco is one that runs already.
type Falco struct {
	sub     *outputs.Subscription
	decider *verdict.Decider
	brief   *judge.Brief
}

// Open subscribes to a Falco by gRPC, HTTP or a file.
func Open(ctx context.Context, b *judge.Brief) (*Falco, error) {
	minimum, err := b.Minimum()
	if err != nil {
		return nil, err
	}
	sub, err := outputs.Open(ctx, b.Settings.Falco, outputs.Options{Logf: b.Logf, Who: b.Who})
	if err != nil {
		return nil, fmt.Errorf("reaching the Falco that judges: %w", err)
	}
	if advice := secretPath(sub.Address()); advice != "" {
		b.Logf("%s", advice)
	}
	opts := verdict.Options{
		Min: minimum, Timeout: b.Settings.Timeout, NoPIDs: !judge.HostPIDs(),
		Sentinels: b.Sentinels(2 * time.Second),
		Unsure:    true,
	}
	if node := config.Node(); node != "" {
		opts.Hostnames = namesOf(node)
	}
	return On(sub, opts, b), nil
}

// namesOf are the names that the Falco of a node may give it: the node's, as Falco's
// chart sets it (FALCO_HOSTNAME), its first label, or that of a pod in the host's
// network.
func namesOf(node string) []string {
	names := []string{node}
	if _, err := netip.ParseAddr(node); err != nil {
		short, _, _ := strings.Cut(node, ".")
		names = append(names, short)
	}
	if host, err := os.Hostname(); err == nil {
		names = append(names, host)
	}
	return names
}

// On is the Falco whose alerts come by a subscription.
func On(sub *outputs.Subscription, opts verdict.Options, b *judge.Brief) *Falco {
	return &Falco{sub: sub, decider: verdict.New(sub, opts), brief: b}
}

// Name says by which way its alerts come.
func (f *Falco) Name() string {
	return judge.FalcoName(f.sub.Version(), withoutSecret(f.sub.Address()))
}

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

// Decider attributes its alerts.
func (f *Falco) Decider() *verdict.Decider { return f.decider }

// Watch keeps the events of an action that are not traced, where they pass through
// here.
func (f *Falco) Watch(_ context.Context, c *child.Child, a *plan.Action) (judge.Watcher, error) {
	if f.brief.Streams[a.Source()] != nil {
		return f.brief.Keep(c.ID(), a, f.brief.Explainer, true), nil
	}
	return nil, nil
}

// Unsupported tells of a rule whose events it does not see.
func (f *Falco) Unsupported(rule *rules.Rule) string {
	if live := f.brief.Streams[rule.Source]; live != nil {
		if blind := live.Blind(); blind != "" {
			return f.Name() + " does not see " + blind
		}
	}
	return ""
}

// Needs nothing.
func (f *Falco) Needs(*plan.Action) []events.Need { return nil }

// OwnNames is false: it resolves names itself.
func (f *Falco) OwnNames() bool { return false }

// Exact is false: its alerts may name their processes only.
func (f *Falco) Exact() bool { return false }

// Replays is false: it sees what happens.
func (f *Falco) Replays() bool { return false }

// Version is the Falco's, "" where it does not tell.
func (f *Falco) Version() string { return f.sub.Version() }

// Advice is the decider's.
func (f *Falco) Advice() string { return f.decider.Advice() }

// Close ends the subscription.
func (f *Falco) Close() error { return f.sub.Close() }
