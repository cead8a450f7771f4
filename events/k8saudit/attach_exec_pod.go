// SPDX-License-Identifier: Apache-2.0

package k8saudit

import (
	"context"
	"fmt"
	"strings"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/kube/objects"
)

var _ = events.Register(AttachExecPod, events.WithNeeds(events.Cluster), events.WithDisabled())

// AttachExecPod executes a command in a pod, and attaches to it. Where pods of
// actions do not run, it asks for both of a pod that is on no node, so that the
// server answers that it cannot; the rule looks at the request.
func AttachExecPod(h events.Helper) error {
	r := objects.New(h, "AttachExecPod")
	running, err := startPod(r)
	if err != nil {
		return err
	}
	if running != nil {
		exec := running.request("exec").Param("container", "main").Param("stdout", "true").Param("command", "id")
		if err := running.stream(exec, nil, "uid="); err != nil {
			return fmt.Errorf("executing a command in pod %s: %w", running.Name, err)
		}
		attach := running.request("attach").Param("container", "main").Param("stdin", "true").Param("stdout", "true")
		if err := running.stream(attach, strings.NewReader("hello\n"), "hello"); err != nil {
			return fmt.Errorf("attaching to pod %s: %w", running.Name, err)
		}
		return nil
	}
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
