// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package falcotest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/falcosecurity/client-go/pkg/api/version"
	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/correlate"
	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/judge"
	"github.com/falcotest/go-falcotest/internal/outputs"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/serve"
	"github.com/falcotest/go-falcotest/internal/trace"
)

// falcoVersion is the version of Falco that the built-in engine agrees with.
const falcoVersion = "0.43.1"

// builtin is the built-in engine behind the gRPC outputs API.
type builtin struct {
	engine *engine.Engine
	server *serve.Server
	sub    *outputs.Subscription
	j      *judge.Judge
	host   string
	types  []event.Type
	filter []byte
}

func openBuiltin(ctx context.Context, s *Session) (backend, error) {
	eng, err := newEngine(s)
	if err != nil {
		return nil, fmt.Errorf("starting the built-in engine: %w", err)
	}
	minimum, err := s.cfg.minimumStrength()
	if err != nil {
		return nil, err
	}
	host, _ := os.Hostname()
	b := &builtin{engine: eng, types: eng.EventTypes(), host: host}
	if b.filter, err = trace.Program(b.types); err != nil {
		return nil, fmt.Errorf("starting the built-in engine: %w", err)
	}
	b.server, err = serve.Start(serve.Options{Version: &version.Response{Version: falcoVersion + " (built-in engine)", Minor: 43, Patch: 1}})
	if err != nil {
		return nil, fmt.Errorf("starting the built-in engine: %w", err)
	}
	if b.sub, err = outputs.Open(ctx, b.server.URL(), outputs.Options{Private: true}); err != nil {
		b.server.Close()
		return nil, fmt.Errorf("starting the built-in engine: %w", err)
	}
	b.j = judge.New(b.sub, judge.Options{
		Min: minimum, Timeout: s.cfg.timeout,
		Sentinels: map[string]judge.Sentinel{engine.SyscallSource: b.sentinel},
		Grace:     -1, // alerts come in the order in which they were published
	})
	return b, nil
}

// sentinel publishes the sentinel's alert behind all that the action caused:
// its tree has ended, and its events were evaluated as they happened.
func (b *builtin) sentinel(_ context.Context, nonce string) error {
	b.server.Publish(judge.SentinelAlert(nonce, b.host))
	return nil
}

// newEngine makes an engine of the rules under test. Rules of selected actions
// are evaluated even when their files disable them, if disabled ones are asked
// for.
func newEngine(s *Session) (*engine.Engine, error) {
	opts := engine.Options{Matching: engine.All, ExtraFields: correlate.ExtraFields()}
	if s.cfg.disabled {
		opts.Enable = func(*rules.Rule) bool { return true }
	}
	return engine.New(s.set, opts)
}

func (b *builtin) name() string {
	return fmt.Sprintf("the built-in engine, as Falco %s (engine %s)", falcoVersion, rules.EngineVersion)
}

func (b *builtin) judge() *judge.Judge { return b.j }

func (b *builtin) unsupported(rule *rules.Rule) string {
	switch status, reason := b.engine.Status(rule.Name); status {
	case engine.Unsupported:
		return "not supported by the built-in engine: " + reason
	case engine.Disabled:
		return fmt.Sprintf("its rule is disabled (%s); WithDisabledActions or FALCOTEST_DISABLED=1 enables it", rule.Pos)
	}
	return ""
}

func (b *builtin) distinct(*rules.Rule) bool { return true }

func (b *builtin) advice() string { return "" }

func (b *builtin) close() error {
	return errors.Join(b.sub.Close(), b.server.Close())
}

func (b *builtin) watch(ctx context.Context, c *child.Child, sel selected) (watcher, error) {
	t := &tracedChild{evaluator: b.engine.NewEvaluator(), program: b.filter}
	if sel.rule != nil {
		if err := t.evaluator.Explain(sel.rule.Name); err != nil {
			return nil, fmt.Errorf("preparing to explain the rule: %w", err)
		}
	}
	var err error
	t.tracer, err = trace.Attach(ctx, c.PID(), trace.Options{
		Types:   b.types,
		Handler: func(e *event.Event) { t.evaluator.EvaluateCall(e, b.server.Publish) },
	})
	if err != nil {
		return nil, fmt.Errorf("tracing the action: %w%s", err, traceHint(err))
	}
	return t, nil
}

// traceHint says what to do where tracing is forbidden.
func traceHint(err error) string {
	if strings.Contains(err.Error(), "not permitted") {
		return " (in a container, allow it by --cap-add SYS_PTRACE; on a host, see /proc/sys/kernel/yama/ptrace_scope)"
	}
	return ""
}

// tracedChild is a child whose system calls are evaluated as they happen.
type tracedChild struct {
	program   []byte
	tracer    *trace.Tracer
	evaluator *engine.Evaluator
}

func (t *tracedChild) filter() []byte { return t.program }

func (t *tracedChild) exit() string {
	exit, _ := t.tracer.Wait()
	switch {
	case exit.Signal != 0:
		return "killed by " + unix.SignalName(exit.Signal)
	case exit.Code != 0:
		return fmt.Sprintf("exit status %d", exit.Code)
	}
	return ""
}

func (t *tracedChild) err() error {
	_, err := t.tracer.Wait()
	return err
}

func (t *tracedChild) why(rule string) *engine.Why { return t.evaluator.Why(rule) }
