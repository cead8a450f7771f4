// SPDX-License-Identifier: Apache-2.0

package k8saudit

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(K8sClusterRoleDeleted, events.WithNeeds(events.Cluster), events.WithDisabled())

// K8sClusterRoleDeleted creates a cluster role and deletes it.
func K8sClusterRoleDeleted(h events.Helper) error {
	return createAndDelete(h, "K8sClusterRoleDeleted", "yaml/k8s-cluster-role-created.yaml")
}
