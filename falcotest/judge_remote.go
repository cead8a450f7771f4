// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/outputs"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/verdict"
)

// remote is a Falco that runs already and whose configuration is not ours.
type remote struct {
	sub *outputs.Subscription
	j   *verdict.Decider
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
	opts := verdict.Options{
		Min: minimum, Timeout: s.cfg.timeout, NoPIDs: !hostPIDs(),
		Sentinels: s.sentinels(2 * time.Second),
		Unsure:    true,
	}
	return &remote{sub: sub, j: verdict.New(sub, opts), s: s}, nil
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

func (r *remote) judge() *verdict.Decider { return r.j }

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

// who names this test to others that wait for the same Falco: its binary, which
// is named after the package, and itself.
func who(t testing.TB) string {
	return strings.TrimSuffix(filepath.Base(os.Args[0]), ".test") + " " + t.Name()
}
