// SPDX-License-Identifier: Apache-2.0

package k8saudit

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/kube/objects"
)

var _ = events.Register(SystemClusterRoleModifiedDeleted, events.WithNeeds(events.Cluster), events.WithDisabled())

// SystemClusterRoleModifiedDeleted changes a cluster role whose name is that
// of a role of the system's. It is a role of its own, without any rule.
func SystemClusterRoleModifiedDeleted(h events.Helper) error {
	r := objects.New(h, "SystemClusterRoleModifiedDeleted")
	infos, err := createFile(r, "objects/system-cluster-role.yaml")
	if err != nil {
		return err
	}
	role := infos[0]
	err = role.Client.Patch(types.MergePatchType).Resource("clusterroles").Name(role.Name).
		Body([]byte(`{"metadata":{"annotations":{"falcotest.io/changed":"true"}}}`)).Do(context.Background()).Error()
	if err != nil {
		return fmt.Errorf("changing %s: %w", objects.Describe(role), err)
	}
	return nil
}
