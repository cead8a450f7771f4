// SPDX-License-Identifier: Apache-2.0

package k8saudit

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(K8sRoleBindingDeleted, events.WithNeeds(events.Cluster), events.WithDisabled())

// K8sRoleBindingDeleted creates a role binding and deletes it.
func K8sRoleBindingDeleted(h events.Helper) error {
	return createAndDelete(h, "K8sRoleBindingDeleted", "yaml/k8s-role-binding-created.yaml")
}
