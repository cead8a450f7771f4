// SPDX-License-Identifier: Apache-2.0

package k8saudit

import (
	"fmt"

	"github.com/falcotest/go-falcotest/events"
)

// createAndDelete creates the objects of a file and deletes them right away.
func createAndDelete(h events.Helper, action, file string) error {
	r := newRun(h, action)
	infos, err := r.createFile(file)
	if err != nil {
		return err
	}
	for _, info := range infos {
		if err := r.delete(info); err != nil {
			return fmt.Errorf("deleting %s: %w", describe(info), err)
		}
		h.Log().Infof("deleted %s", describe(info))
	}
	return nil
}
