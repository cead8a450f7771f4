// SPDX-License-Identifier: Apache-2.0

package k8saudit

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(K8sSecretDeleted, events.WithNeeds(events.Cluster), events.WithDisabled())

// K8sSecretDeleted creates a secret and deletes it.
func K8sSecretDeleted(h events.Helper) error {
	return createAndDelete(h, "K8sSecretDeleted", "yaml/k8s-secret-created.yaml")
}
