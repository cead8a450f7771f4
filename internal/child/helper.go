// SPDX-License-Identifier: Apache-2.0

package child

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/client-go/rest"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/child/inside"
	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/incontainer"
)

// helper is the default [events.Helper].
type helper struct{ *inside.Process }

var _ events.Helper = (*helper)(nil)

// do runs an action, and says in the terms of package inside how it ended.
func (h *helper) do(action events.Action) error {
	err := action(h)
	var skip *events.ErrSkipped
	if errors.As(err, &skip) {
		return &inside.Skip{Reason: skip.Reason}
	}
	return err
}

func (h *helper) Spawned() bool { return inside.Here() == inside.Spawned }

func (h *helper) SpawnAs(name string, action string, args ...string) error {
	return h.spawn(name, action, args, false)
}

func (h *helper) SpawnAsWithSymlink(name string, action string, args ...string) error {
	return h.spawn(name, action, args, true)
}

func (h *helper) spawn(name, action string, args []string, symlink bool) error {
	if _, ok := events.All()[action]; !ok {
		return fmt.Errorf("running %s as %s: no such action is registered", action, name)
	}
	err := h.Spawn(name, action, args, symlink)
	var skip *inside.Skip
	if errors.As(err, &skip) {
		return &events.ErrSkipped{Reason: skip.Reason}
	}
	return err
}

func (h *helper) InContainer() (here bool) {
	h.Marks().Aside(func() { here = incontainer.Here() })
	return here
}

// InContainer tells whether this process runs in a container, see
// [incontainer.Here]. It looks once.
func InContainer() bool { return inContainer() }

var inContainer = sync.OnceValue(incontainer.Here)

func (h *helper) ExePath() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}

func (h *helper) ResourceBuilder() *resource.Builder {
	var flags *genericclioptions.ConfigFlags
	var namespace string
	h.Marks().Aside(func() {
		flags = h.configFlags()
		// Where the settings cannot be read, the builder says so when it is used.
		namespace, _, _ = flags.ToRawKubeConfigLoader().Namespace()
	})
	return resource.NewBuilder(flags).NamespaceParam(namespace).DefaultNamespace()
}

// ToRESTConfig is for actions that need connections of their own to the
// cluster that ResourceBuilder is for.
func (h *helper) ToRESTConfig() (*rest.Config, error) {
	return h.configFlags().ToRESTConfig()
}

// configFlags are the settings of this run for Kubernetes.
func (h *helper) configFlags() *genericclioptions.ConfigFlags {
	flags := genericclioptions.NewConfigFlags(true)
	config.Kubeconfig.Override(flags.KubeConfig)
	config.Context.Override(flags.Context)
	config.Namespace.Override(flags.Namespace)
	set := pflag.NewFlagSet("falcotest", pflag.ContinueOnError)
	flags.AddFlags(set)
	if err := set.Parse(h.KubeFlags()); err != nil {
		// They were made from flags of the same kind.
		h.Log().WithError(err).Error("reading the flags for Kubernetes")
	}
	return flags
}
