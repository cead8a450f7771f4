// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package builtin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/falcosecurity/client-go/pkg/api/version"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/judge"
	"github.com/falcotest/go-falcotest/internal/outputs"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/serve"
	"github.com/falcotest/go-falcotest/internal/source"
	"github.com/falcotest/go-falcotest/internal/trace"
	"github.com/falcotest/go-falcotest/internal/verdict"
)

// Judge is the built-in engine behind the gRPC outputs API.
type Judge struct {
	*Tracing
	// Settled waits until what was traced is judged; nil when that is done as it
	// happens. It is set before the first action.
	Settled func(context.Context) error

	server  *serve.Server
	sub     *outputs.Subscription
	decider *verdict.Decider
	host    string
	brief   *judge.Brief
}

// Open starts the engine.
func Open(ctx context.Context, brief *judge.Brief) (*Judge, error) {
	tracing, err := NewTracing(ctx, brief, brief.Settings.KeepsEvents())
	if err != nil {
		return nil, fmt.Errorf("starting the built-in engine: %w", err)
	}
	minimum, err := brief.Minimum()
	if err != nil {
		return nil, err
	}
	host, _ := os.Hostname()
	b := &Judge{Tracing: tracing, host: host, brief: brief}
	b.server, err = serve.Start(serve.Options{Version: &version.Response{Version: engine.FalcoVersion + " (built-in engine)", Minor: 43, Patch: 1}})
	if err != nil {
		return nil, fmt.Errorf("starting the built-in engine: %w", err)
	}
	if b.sub, err = outputs.Open(ctx, b.server.URL(), outputs.Options{Private: true, Pushed: true}); err != nil {
		b.server.Close()
		return nil, fmt.Errorf("starting the built-in engine: %w", err)
	}
	b.decider = verdict.New(b.sub, verdict.Options{
		Min: minimum, Timeout: brief.Settings.Timeout, Sentinels: b.sentinels(),
		Grace: -1, // alerts come in the order in which they were published
	})
	b.judgeStreams()
	return b, nil
}

// judgeStreams has the engine judge events that are not traced.
func (b *Judge) judgeStreams() {
	for name, live := range b.brief.Streams {
		var mu sync.Mutex
		evaluator := b.Engine.NewEvaluator()
		live.Judged(func(event any) {
			mu.Lock()
			defer mu.Unlock()
			evaluator.Evaluate(name, event, b.server.Publish)
		})
	}
}

// Publish sends an alert to the decider.
func (b *Judge) Publish(a *alert.Alert) { b.server.Publish(a) }

func (b *Judge) sentinels() map[string]verdict.Sentinel {
	list := map[string]verdict.Sentinel{}
	for _, src := range source.All() {
		list[src.Name] = verdict.Sentinel{Trigger: b.sentinel}
		if live := b.brief.Streams[src.Name]; live != nil {
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
func (b *Judge) sentinel(ctx context.Context, nonce string) error {
	if b.Settled != nil {
		if err := b.Settled(ctx); err != nil {
			return err
		}
	}
	b.server.Publish(verdict.SentinelAlert(nonce, b.host))
	return nil
}

// Name says with which Falco it agrees.
func (b *Judge) Name() string { return engine.Name() }

// Decider attributes its alerts.
func (b *Judge) Decider() *verdict.Decider { return b.decider }

// Unsupported tells of a rule that the engine cannot judge, or that is off.
func (b *Judge) Unsupported(rule *rules.Rule) string {
	switch status, reason := b.Engine.Status(rule.Name); status {
	case engine.Unsupported:
		return "not supported by the built-in engine: " + reason
	case engine.Disabled:
		return fmt.Sprintf("its rule is disabled (%s); WithDisabledActions or FALCOTEST_DISABLED=1 enables it", rule.Pos)
	}
	return ""
}

// Needs says what tracing needs.
func (b *Judge) Needs(a *plan.Action) []events.Need {
	if b.brief.Streams[a.Source()] != nil {
		return nil
	}
	return []events.Need{needTracing}
}

// needTracing is the need of the built-in engine to trace what actions do.
var needTracing = events.Need{
	Name: "to trace system calls", Probe: trace.Supported,
	Hint: "or let a real Falco judge, which needs no tracing (FALCOTEST_FALCO)",
}

// OwnNames is true: it traces the action in its own mounts.
func (b *Judge) OwnNames() bool { return true }

// Exact is true: it knows whose process it traces.
func (b *Judge) Exact() bool { return true }

// Replays is false: it judges what happens.
func (b *Judge) Replays() bool { return false }

// Advice is none.
func (b *Judge) Advice() string { return "" }

// Close ends the engine.
func (b *Judge) Close() error {
	return errors.Join(b.sub.Close(), b.server.Close())
}

// Watch traces the child, or keeps the events that come by a stream.
func (b *Judge) Watch(ctx context.Context, c *child.Child, a *plan.Action) (judge.Watcher, error) {
	if b.brief.Streams[a.Source()] != nil {
		return b.brief.Keep(c.ID(), a, func() (*engine.Engine, error) { return b.Engine, nil }, false), nil
	}
	w, err := b.Trace(ctx, c, a, b.server.Publish, nil)
	if err != nil {
		return nil, err // and no watcher
	}
	return w, nil
}
