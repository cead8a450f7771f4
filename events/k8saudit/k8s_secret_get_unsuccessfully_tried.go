// SPDX-License-Identifier: Apache-2.0

package k8saudit

import (
	"context"
	"errors"
	"fmt"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/kube/objects"
)

var _ = events.Register(K8sSecretGetUnsuccessfullyTried, events.WithNeeds(events.Cluster), events.WithDisabled())

// K8sSecretGetUnsuccessfullyTried asks for a secret that does not exist.
func K8sSecretGetUnsuccessfullyTried(h events.Helper) error {
	r := objects.New(h, "K8sSecretGetUnsuccessfullyTried")
	client, namespace, err := r.Client("secrets")
	if err != nil {
		return err
	}
	err = client.Get().Namespace(namespace).Resource("secrets").Name(r.Name).Do(context.Background()).Error()
	if err == nil {
		err = errors.New("it exists")
	} else if err = objects.Answered(err); err == nil {
		return nil
	}
	return fmt.Errorf("getting secret %s in namespace %s, which should not exist: %w", r.Name, namespace, err)
}
