// SPDX-License-Identifier: Apache-2.0

package k8saudit

import "github.com/falcotest/go-falcotest/events"

var (
	ActionName = actionName
	ObjectName = objectName
	LabelValue = labelValue
	Files      = files
)

// Create creates the objects of a text as an action does those of its file.
func Create(h events.Helper, text string) error {
	_, err := newRun(h, "Test").create(text, "test.yaml")
	return err
}
