// SPDX-License-Identifier: Apache-2.0

package k8saudit

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/falcotest/go-falcotest/internal/config"
)

// A start that its caller's end cut short is no answer for others.
func TestClusterStartIsTriedAgain(t *testing.T) {
	c := newCluster(config.Kubernetes{Kubeconfig: "/nonexistent/kubeconfig"})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Start(ended); err == nil || c.started {
		t.Errorf("got %v, and it is kept: %v", err, c.started)
	}
	err := c.Start(t.Context())
	if err == nil || !c.started {
		t.Errorf("got %v, and it is kept: %v", err, c.started)
	}
	if again := c.Start(t.Context()); again != err {
		t.Errorf("got %v, then %v", err, again)
	}
}

// Who asks the audit endpoint for something else makes no verdict doubtful, and
// what is lost only those of the actions under way.
func TestClusterTrouble(t *testing.T) {
	c := newCluster(config.Kubernetes{})
	for range 1000 {
		c.refused(errors.New("audit events from 10.0.0.1: refused: method GET: want POST"))
	}
	if got := c.Trouble(c.Losses()); got != "" {
		t.Errorf("after refusals: %s", got)
	}
	if got := c.Hint(); !strings.Contains(got, "were refused (1000, the last: audit events from 10.0.0.1") {
		t.Errorf("the hint is %q", got)
	}
	before := c.Losses()
	c.problem(errors.New("the body has more than 10 bytes"))
	if got := c.Trouble(before); got != "audit events were lost: the body has more than 10 bytes" {
		t.Errorf("got %q", got)
	}
	if got := c.Trouble(c.Losses()); got != "" {
		t.Errorf("for a later action: %s", got)
	}
}
