// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package falcotest

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/falcosecurity/client-go/pkg/api/version"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/outputs"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/serve"
	"github.com/falcotest/go-falcotest/internal/source"
	"github.com/falcotest/go-falcotest/internal/trace"
	"github.com/falcotest/go-falcotest/internal/verdict"
)

// builtin is the built-in engine behind the gRPC outputs API.
type builtin struct {
	*tracing
	server *serve.Server
	sub    *outputs.Subscription
	j      *verdict.Decider
	host   string
	s      *Session

	// settled waits until what was traced is judged; nil when that is done as it
	// happens.
	settled func(context.Context) error
}

func openBuiltin(ctx context.Context, s *Session) (backend, error) {
	tracing, err := newTracing(s)
	if err != nil {
		return nil, fmt.Errorf("starting the built-in engine: %w", err)
	}
	minimum, err := s.cfg.minimumStrength()
	if err != nil {
		return nil, err
	}
	host, _ := os.Hostname()
	b := &builtin{tracing: tracing, host: host, s: s}
	b.server, err = serve.Start(serve.Options{Version: &version.Response{Version: falcoVersion + " (built-in engine)", Minor: 43, Patch: 1}})
	if err != nil {
		return nil, fmt.Errorf("starting the built-in engine: %w", err)
	}
	if b.sub, err = outputs.Open(ctx, b.server.URL(), outputs.Options{Private: true}); err != nil {
		b.server.Close()
		return nil, fmt.Errorf("starting the built-in engine: %w", err)
	}
	b.j = verdict.New(b.sub, verdict.Options{
		Min: minimum, Timeout: s.cfg.timeout, Sentinels: b.sentinels(),
		Grace: -1, // alerts come in the order in which they were published
	})
	s.judgeLive(b.engine, b.server.Publish)
	return b, nil
}

func (b *builtin) sentinels() map[string]verdict.Sentinel {
	list := map[string]verdict.Sentinel{}
	for _, src := range source.All() {
		list[src.Name] = verdict.Sentinel{Trigger: b.sentinel}
		if live := b.s.live[src.Name]; live != nil {
			list[src.Name] = verdict.Sentinel{Lossless: true, Trigger: func(ctx context.Context, nonce string) error {
				if err := live.Settle(ctx, nonce); err != nil {
					return err
				}
				return b.sentinel(ctx, nonce)
			}}
		}
	}
	return list
}

// sentinel publishes the sentinel's alert behind all that the action caused:
// its tree has ended, and its events were evaluated as they happened.
func (b *builtin) sentinel(ctx context.Context, nonce string) error {
	if b.settled != nil {
		if err := b.settled(ctx); err != nil {
			return err
		}
	}
	b.server.Publish(verdict.SentinelAlert(nonce, b.host))
	return nil
}

func (b *builtin) name() string { return builtinName() }

func (b *builtin) judge() *verdict.Decider { return b.j }

func (b *builtin) unsupported(rule *rules.Rule) string {
	switch status, reason := b.engine.Status(rule.Name); status {
	case engine.Unsupported:
		return "not supported by the built-in engine: " + reason
	case engine.Disabled:
		return fmt.Sprintf("its rule is disabled (%s); WithDisabledActions or FALCOTEST_DISABLED=1 enables it", rule.Pos)
	}
	return ""
}

func (b *builtin) needs(sel *plan.Action) []events.Need {
	if b.s.liveOf(sel) != nil {
		return nil
	}
	return []events.Need{needTracing}
}

// needTracing is the need of the built-in engine to trace what actions do.
var needTracing = events.Need{
	Name: "to trace system calls", Probe: trace.Supported,
	Hint: "or let a real Falco judge, which needs no tracing (FALCOTEST_FALCO)",
}

func (b *builtin) ownNames() bool { return true }

func (b *builtin) advice() string { return "" }

func (b *builtin) close() error {
	return errors.Join(b.sub.Close(), b.server.Close())
}

func (b *builtin) watch(ctx context.Context, c *child.Child, sel *plan.Action) (watcher, error) {
	if b.s.liveOf(sel) != nil {
		return b.s.keepLive(c.ID(), sel, func() (*engine.Engine, error) { return b.engine, nil }, false), nil
	}
	return b.tracing.watch(ctx, c, sel, b.server.Publish)
}
