// SPDX-License-Identifier: Apache-2.0

package k8saudit

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(K8sClusterRoleBindingDeleted, events.WithNeeds(events.Cluster), events.WithDisabled())

// K8sClusterRoleBindingDeleted creates a cluster role binding and deletes it.
func K8sClusterRoleBindingDeleted(h events.Helper) error {
	return createAndDelete(h, "K8sClusterRoleBindingDeleted", "yaml/k8s-cluster-role-binding-created.yaml")
}
