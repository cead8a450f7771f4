// SPDX-License-Identifier: Apache-2.0

package k8saudit

import (
	"context"
	"fmt"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/kube/objects"
)

var _ = events.Register(AnonymousRequestAllowed, events.WithNeeds(events.Cluster), events.WithDisabled())

// AnonymousRequestAllowed asks for the cluster's version without saying who it
// is, which clusters allow unless they are told not to.
func AnonymousRequestAllowed(h events.Helper) error {
	r := objects.New(h, "AnonymousRequestAllowed")
	config, err := r.Config()
	if err != nil {
		return err
	}
	config = rest.AnonymousClientConfig(config)
	config.UserAgent = r.UserAgent()
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("reaching the cluster: %w", err)
	}
	err = client.RESTClient().Get().AbsPath("/version").Param("falcotest", r.ID).Do(context.Background()).Error()
	if objects.Answered(err) != nil {
		return fmt.Errorf("asking for the version without credentials: %w", objects.ClusterError(err))
	}
	if err != nil {
		return &events.ErrSkipped{Reason: fmt.Sprintf("this cluster does not allow anonymous requests: %v", err)}
	}
	return nil
}
