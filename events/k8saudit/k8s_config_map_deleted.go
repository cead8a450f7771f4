// SPDX-License-Identifier: Apache-2.0

package k8saudit

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(K8sConfigMapDeleted, events.WithNeeds(events.Cluster), events.WithDisabled())

// K8sConfigMapDeleted creates a configmap and deletes it.
func K8sConfigMapDeleted(h events.Helper) error {
	return createAndDelete(h, "K8sConfigMapDeleted", "yaml/k8s-config-map-created.yaml")
}
