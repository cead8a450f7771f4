// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"context"
	"fmt"
	"testing"

	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/judge"
	"github.com/falcotest/go-falcotest/internal/outputs"
	"github.com/falcotest/go-falcotest/internal/rules"
)

// remote is a Falco that runs already and whose configuration is not ours.
type remote struct {
	sub *outputs.Subscription
	j   *judge.Judge
}

// openRemote subscribes to a Falco by gRPC, HTTP or a file.
func openRemote(ctx context.Context, t testing.TB, s *Session) (backend, error) {
	minimum, err := s.cfg.minimumStrength()
	if err != nil {
		return nil, err
	}
	sub, err := outputs.Open(ctx, s.cfg.falco, outputs.Options{Logf: t.Logf, Who: t.Name()})
	if err != nil {
		return nil, fmt.Errorf("reaching the Falco that judges: %w", err)
	}
	return &remote{sub: sub, j: judge.New(sub, judge.Options{Min: minimum, Timeout: s.cfg.timeout})}, nil
}

func (r *remote) name() string { return falcoName(r.sub.Version(), r.sub.Address()) }

// falcoName says which Falco judges, and by which way its alerts come.
func falcoName(version, address string) string {
	if version == "" {
		return "the Falco at " + address
	}
	return fmt.Sprintf("Falco %s at %s", version, address)
}

func (r *remote) judge() *judge.Judge { return r.j }

func (r *remote) watch(context.Context, *child.Child, selected) (watcher, error) { return nil, nil }

func (r *remote) unsupported(*rules.Rule) string { return "" }

// distinct is true until the judge says that an action has to run alone.
func (r *remote) distinct(*rules.Rule) bool { return true }

func (r *remote) advice() string { return r.j.Advice() }

func (r *remote) close() error { return r.sub.Close() }

type kubernetesConfig struct{}
