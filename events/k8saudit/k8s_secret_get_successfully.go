// SPDX-License-Identifier: Apache-2.0

package k8saudit

import (
	"context"
	"fmt"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/kube/objects"
)

var _ = events.Register(K8sSecretGetSuccessfully, events.WithNeeds(events.Cluster), events.WithDisabled())

// K8sSecretGetSuccessfully creates a secret and reads it.
func K8sSecretGetSuccessfully(h events.Helper) error {
	r := objects.New(h, "K8sSecretGetSuccessfully")
	infos, err := createFile(r, "yaml/k8s-secret-created.yaml")
	if err != nil {
		return err
	}
	secret := infos[0]
	err = secret.Client.Get().Namespace(secret.Namespace).Resource("secrets").Name(secret.Name).Do(context.Background()).Error()
	if err != nil {
		return fmt.Errorf("getting %s: %w", objects.Describe(secret), err)
	}
	return nil
}
