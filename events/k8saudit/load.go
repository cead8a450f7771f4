// SPDX-License-Identifier: Apache-2.0

package k8saudit

import (
	"embed"
	"path"
	"strings"

	"k8s.io/cli-runtime/pkg/resource"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/kube/objects"
)

// In yaml are the actions; in objects is what functions need.
//
//go:embed yaml/*.yaml objects/*.yaml
var files embed.FS

// Each file is registered as an action. That it can be parsed is for the tests
// of this package to say: here, a file that cannot only makes its action fail.
func init() {
	entries, err := files.ReadDir("yaml")
	if err != nil {
		return // embedded, so that there is no error
	}
	for _, entry := range entries {
		name := actionName(entry.Name())
		events.RegisterWithName(func(h events.Helper) error {
			return createAll(h, name, "yaml/"+entry.Name())
		}, "k8saudit."+name, events.WithNeeds(events.Cluster), events.WithDisabled())
	}
}

// actionName returns the action's name of a file: CreatePrivilegedPod of
// create-privileged-pod.yaml.
func actionName(file string) string {
	var name strings.Builder
	for word := range strings.SplitSeq(strings.TrimSuffix(path.Base(file), ".yaml"), "-") {
		if word != "" {
			name.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return name.String()
}

// manifest returns a file with the names of its objects made unique: ${NAME}
// stands for a name that has the id in it.
func manifest(file, name string) (string, error) {
	b, err := files.ReadFile(file)
	if err != nil {
		return "", err
	}
	return strings.ReplaceAll(string(b), "${NAME}", name), nil
}

// createFile creates all objects of a file, in their order.
func createFile(r *objects.Run, file string) ([]*resource.Info, error) {
	b, err := files.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return r.Create(string(b), file)
}

// createAll is the action of a file.
func createAll(h events.Helper, action, file string) error {
	_, err := createFile(objects.New(h, action), file)
	return err
}
