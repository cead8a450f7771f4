// SPDX-License-Identifier: Apache-2.0

package k8saudit_test

import (
	"testing"

	"github.com/falcotest/go-falcotest/falcotest"
)

// The whole way of a user's test: each action in a process of its own, on an
// API server of falcotest's, judged by its alerts, all at the same time.
func TestFalcotest(t *testing.T) {
	eachSet(t, func(t *testing.T, files []string) {
		falcotest.Run(t,
			falcotest.WithRules(files...),
			falcotest.WithDisabledActions(),
			falcotest.WithKubernetes(falcotest.Kubernetes{}),
		)
	})
}
