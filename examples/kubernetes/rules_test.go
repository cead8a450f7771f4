// SPDX-License-Identifier: Apache-2.0

// Package kubernetes_test tests rules on Kubernetes audit events: on a real
// API server, which is started for it, and on recorded events, which needs
// nothing.
package kubernetes_test

import (
	"testing"

	_ "github.com/falcotest/go-falcotest/events/k8saudit"
	"github.com/falcotest/go-falcotest/falcotest"
)

func TestMain(m *testing.M) { falcotest.Main(m) }

// Each rule has its action in events/k8saudit. They are disabled by default.
func TestRules(t *testing.T) {
	falcotest.Run(t,
		falcotest.WithRules("rules/*.yaml"),
		falcotest.WithDisabledActions(),
		falcotest.WithKubernetes(falcotest.Kubernetes{}),
	)
}

// What was recorded once can be judged again and again.
func TestRecorded(t *testing.T) {
	alerts := falcotest.AuditEvents(t, "testdata/privileged-pod.jsonl", falcotest.WithRules("rules/*.yaml"))
	if len(alerts) != 1 || alerts[0].Rule != "Create Privileged Pod" {
		t.Errorf("alerts %v", alerts)
	}
	if alerts := falcotest.AuditEvents(t, "testdata/trusted-pod.jsonl", falcotest.WithRules("rules/*.yaml")); len(alerts) != 0 {
		t.Errorf("alerts for a trusted image: %v", alerts)
	}
}
