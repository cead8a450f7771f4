// SPDX-License-Identifier: Apache-2.0

package k8saudit

import (
	"context"
	"fmt"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/kube/objects"
)

var _ = events.Register(AttachExecPod, events.WithNeeds(events.Cluster), events.WithDisabled())

// AttachExecPod asks to execute a command in a pod, and to attach to it. The
// pod is on no node, so that the server answers that it cannot; the rule looks
// at the request.
func AttachExecPod(h events.Helper) error {
	r := objects.New(h, "AttachExecPod")
	infos, err := createFile(r, "objects/pod.yaml")
	if err != nil {
		return err
	}
	pod := infos[0]
	for _, subresource := range []string{"exec", "attach"} {
		q := pod.Client.Post().Namespace(pod.Namespace).Resource("pods").Name(pod.Name).SubResource(subresource).
			Param("container", "main").Param("stdout", "true")
		if subresource == "exec" {
			q = q.Param("command", "id")
		}
		if err := objects.Answered(q.Do(context.Background()).Error()); err != nil {
			return fmt.Errorf("%s to pod %s: %w", subresource, pod.Name, err)
		}
	}
	return nil
}
