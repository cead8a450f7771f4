// SPDX-License-Identifier: Apache-2.0

package k8saudit

import (
	"fmt"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/kube/objects"
)

// createAndDelete creates the objects of a file and deletes them right away.
func createAndDelete(h events.Helper, action, file string) error {
	r := objects.New(h, action)
	infos, err := createFile(r, file)
	if err != nil {
		return err
	}
	for _, info := range infos {
		if err := r.Delete(info); err != nil {
			return fmt.Errorf("deleting %s: %w", objects.Describe(info), err)
		}
		h.Log().Infof("deleted %s", objects.Describe(info))
	}
	return nil
}
