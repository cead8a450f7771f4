// SPDX-License-Identifier: Apache-2.0

package k8saudit_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/falcotest/go-falcotest/events"
	_ "github.com/falcotest/go-falcotest/events/k8saudit"
	"github.com/falcotest/go-falcotest/internal/audit"
	"github.com/falcotest/go-falcotest/internal/kube"
)

// A liveCluster is an API server with a record of its audit events.
type liveCluster struct {
	*kube.Cluster
	mu     sync.Mutex
	events []*audit.Event
}

// startLive starts an API server, or skips the test where there is none to
// start. In CI there must be one.
func startLive(t testing.TB) *liveCluster {
	t.Helper()
	if _, err := kube.Find(); errors.Is(err, kube.ErrNoBinaries) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	c := &liveCluster{}
	var err error
	c.Cluster, err = kube.Start(context.Background(), kube.Options{
		Handle: func(e *audit.Event) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.events = append(c.events, e)
		},
		Problem: func(err error) { t.Errorf("audit events: %v", err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// of returns the events of requests with an id, so far.
func (c *liveCluster) of(id string) []*audit.Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	var of []*audit.Event
	for _, e := range c.events {
		if e.Text("userAgent") == "falcotest/"+id {
			of = append(of, e)
		}
	}
	return of
}

func names() []string {
	var names []string
	for name := range events.ByPackage("k8saudit") {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func TestLive(t *testing.T) {
	c := startLive(t)
	for i, name := range names() {
		t.Run(name, func(t *testing.T) {
			id := fmt.Sprintf("live-%d", i)
			if err := newHelper(c.Kubeconfig()).run(t, name, id); err != nil {
				t.Fatal(err)
			}
			for _, e := range c.of(id) {
				t.Log(e, strings.Contains(e.JSON(), "falcotest-"+id))
			}
		})
	}
}
