// SPDX-License-Identifier: Apache-2.0

package k8saudit_test

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/client-go/rest"

	"github.com/falcotest/go-falcotest/events"
)

// A helper runs actions in the test's own process, against one cluster.
type helper struct {
	flags    *genericclioptions.ConfigFlags
	log      *logrus.Logger
	cleanups []func()
}

func newHelper(kubeconfig string) *helper {
	flags := genericclioptions.NewConfigFlags(true)
	flags.KubeConfig = &kubeconfig
	flags.WrapConfigFn = func(c *rest.Config) *rest.Config { c.QPS = -1; return c }
	log := logrus.New()
	log.SetOutput(io.Discard)
	return &helper{flags: flags, log: log}
}

func (h *helper) Log() *logrus.Entry                  { return logrus.NewEntry(h.log) }
func (h *helper) Sleep(time.Duration)                 {}
func (h *helper) Cleanup(f func(), args ...any)       { h.cleanups = append(h.cleanups, f) }
func (h *helper) Spawned() bool                       { return false }
func (h *helper) InContainer() bool                   { return false }
func (h *helper) ExePath() string                     { return "" }
func (h *helper) ToRESTConfig() (*rest.Config, error) { return h.flags.ToRESTConfig() }
func (h *helper) ResourceBuilder() *resource.Builder {
	return resource.NewBuilder(h.flags).NamespaceParam("default").DefaultNamespace()
}

func (h *helper) SpawnAs(string, string, ...string) error { return errors.ErrUnsupported }
func (h *helper) SpawnAsWithSymlink(string, string, ...string) error {
	return errors.ErrUnsupported
}

// run runs an action under an id, with its cleanups.
func (h *helper) run(t testing.TB, name, id string) error {
	t.Setenv("FALCOTEST_ID", id)
	defer func() {
		for i := len(h.cleanups) - 1; i >= 0; i-- {
			h.cleanups[i]()
		}
		h.cleanups = nil
	}()
	return events.All()[name](h)
}
