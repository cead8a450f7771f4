// SPDX-License-Identifier: Apache-2.0

package k8saudit

import (
	"context"
	"fmt"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/kube/objects"
)

var _ = events.Register(PortForward, events.WithNeeds(events.Cluster), events.WithDisabled())

// PortForward forwards a port of a pod, and connects to it. Where pods of actions
// do not run, it asks for it of a pod that is on no node, so that the server
// answers that it cannot; the rule looks at the request.
func PortForward(h events.Helper) error {
	r := objects.New(h, "PortForward")
	running, err := startPod(r)
	if err != nil {
		return err
	}
	if running != nil {
		if err := running.forward("80", "hello"); err != nil {
			return fmt.Errorf("forwarding a port of pod %s: %w", running.Name, err)
		}
		return nil
	}
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
