// SPDX-License-Identifier: Apache-2.0

package k8saudit

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(K8sServiceaccountDeleted, events.WithNeeds(events.Cluster), events.WithDisabled())

// K8sServiceaccountDeleted creates a service account and deletes it.
func K8sServiceaccountDeleted(h events.Helper) error {
	return createAndDelete(h, "K8sServiceaccountDeleted", "yaml/k8s-serviceaccount-created.yaml")
}
