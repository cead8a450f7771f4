// SPDX-License-Identifier: Apache-2.0

package k8saudit

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(K8sDeploymentDeleted, events.WithNeeds(events.Cluster), events.WithDisabled())

// K8sDeploymentDeleted creates a deployment and deletes it.
func K8sDeploymentDeleted(h events.Helper) error {
	return createAndDelete(h, "K8sDeploymentDeleted", "yaml/k8s-deployment-created.yaml")
}
