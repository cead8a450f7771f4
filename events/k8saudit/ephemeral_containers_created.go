// SPDX-License-Identifier: Apache-2.0

package k8saudit

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/kube/objects"
)

var _ = events.Register(EphemeralContainersCreated, events.WithNeeds(events.Cluster), events.WithDisabled())

// EphemeralContainersCreated adds an ephemeral container to a pod that is on
// no node, as kubectl debug does.
func EphemeralContainersCreated(h events.Helper) error {
	r := objects.New(h, "EphemeralContainersCreated")
	infos, err := createFile(r, "objects/pod.yaml")
	if err != nil {
		return err
	}
	pod := infos[0]
	const patch = `{"spec":{"ephemeralContainers":[{"name":"debugger","image":"falcotest.invalid/debugger:1"}]}}`
	err = pod.Client.Patch(types.StrategicMergePatchType).Namespace(pod.Namespace).Resource("pods").Name(pod.Name).
		SubResource("ephemeralcontainers").Body([]byte(patch)).Do(context.Background()).Error()
	if err != nil {
		return fmt.Errorf("adding an ephemeral container to pod %s: %w", pod.Name, err)
	}
	return nil
}
