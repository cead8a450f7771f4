// SPDX-License-Identifier: Apache-2.0

package k8saudit

import (
	"context"
	"fmt"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/kube/objects"
)

var _ = events.Register(PortForward, events.WithNeeds(events.Cluster), events.WithDisabled())

// PortForward asks to forward a port of a pod. The pod is on no node, so that
// the server answers that it cannot; the rule looks at the request.
func PortForward(h events.Helper) error {
	r := objects.New(h, "PortForward")
	infos, err := createFile(r, "objects/pod.yaml")
	if err != nil {
		return err
	}
	pod := infos[0]
	err = pod.Client.Post().Namespace(pod.Namespace).Resource("pods").Name(pod.Name).SubResource("portforward").
		Param("ports", "80").Do(context.Background()).Error()
	if err := objects.Answered(err); err != nil {
		return fmt.Errorf("forwarding a port of pod %s: %w", pod.Name, err)
	}
	return nil
}
