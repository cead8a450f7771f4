// SPDX-License-Identifier: Apache-2.0

package k8saudit

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(K8sRoleDeleted, events.WithNeeds(events.Cluster), events.WithDisabled())

// K8sRoleDeleted creates a role and deletes it.
func K8sRoleDeleted(h events.Helper) error {
	return createAndDelete(h, "K8sRoleDeleted", "yaml/k8s-role-created.yaml")
}
