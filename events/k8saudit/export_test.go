// SPDX-License-Identifier: Apache-2.0

package k8saudit

import (
	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/kube/objects"
)

var (
	ActionName = actionName
	ObjectName = objects.ObjectName
	LabelValue = objects.LabelValue
	Files      = files
)

// Create creates the objects of a text as an action does those of its file.
func Create(h events.Helper, text string) error {
	_, err := objects.New(h, "Test").Create(text, "test.yaml")
	return err
}
