// SPDX-License-Identifier: Apache-2.0

package k8saudit

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(K8sServiceDeleted, events.WithNeeds(events.Cluster), events.WithDisabled())

// K8sServiceDeleted creates a service and deletes it.
func K8sServiceDeleted(h events.Helper) error {
	return createAndDelete(h, "K8sServiceDeleted", "yaml/k8s-service-created.yaml")
}
