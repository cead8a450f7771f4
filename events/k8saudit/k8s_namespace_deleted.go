// SPDX-License-Identifier: Apache-2.0

package k8saudit

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(K8sNamespaceDeleted, events.WithNeeds(events.Cluster), events.WithDisabled())

// K8sNamespaceDeleted creates a namespace and deletes it.
func K8sNamespaceDeleted(h events.Helper) error {
	return createAndDelete(h, "K8sNamespaceDeleted", "yaml/k8s-namespace-created.yaml")
}
