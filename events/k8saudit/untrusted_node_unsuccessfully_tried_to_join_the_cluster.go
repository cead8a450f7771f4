// SPDX-License-Identifier: Apache-2.0

package k8saudit

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/kube/objects"
)

var _ = events.Register(UntrustedNodeUnsuccessfullyTriedToJoinTheCluster, events.WithNeeds(events.Cluster), events.WithDisabled())

// UntrustedNodeUnsuccessfullyTriedToJoinTheCluster tries to create a node that
// the server refuses, because an effect of its taints does not exist.
func UntrustedNodeUnsuccessfullyTriedToJoinTheCluster(h events.Helper) error {
	r := objects.New(h, "UntrustedNodeUnsuccessfullyTriedToJoinTheCluster")
	client, _, err := r.Client("nodes")
	if err != nil {
		return err
	}
	text, err := manifest("yaml/untrusted-node-successfully-joined-the-cluster.yaml", r.Name)
	if err != nil {
		return err
	}
	text = strings.Replace(text, "effect: NoExecute", "effect: NoSuchEffect", 1)
	err = client.Post().Resource("nodes").SetHeader("Content-Type", "application/yaml").Body([]byte(text)).
		Do(context.Background()).Error()
	if err == nil {
		err = errors.New("it was accepted")
		_ = client.Delete().Resource("nodes").Name(r.Name).Do(context.Background())
	} else if err = objects.Answered(err); err == nil {
		return nil
	}
	return fmt.Errorf("creating node %s, which should be refused: %w", r.Name, err)
}
