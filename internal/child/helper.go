// SPDX-License-Identifier: Apache-2.0

package child

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/client-go/rest"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/hermetic"
	"github.com/falcotest/go-falcotest/internal/incontainer"
	"github.com/falcotest/go-falcotest/internal/journal"
)

// helper is the default [events.Helper].
type helper struct{ run *run }

var _ events.Helper = (*helper)(nil)

func (h *helper) Log() *logrus.Entry { return h.run.log }

func (h *helper) Sleep(d time.Duration) {
	h.run.log.Infof("sleeping for %s", d)
	time.Sleep(d)
}

func (h *helper) Cleanup(f func(), args ...interface{}) {
	h.run.mu.Lock()
	if h.run.stopped {
		h.run.mu.Unlock()
		h.run.runCleanup(cleanup{f, args})
		select {} // the process is about to end, and the action with it
	}
	h.run.cleanups = append(h.run.cleanups, cleanup{f, args})
	h.run.mu.Unlock()
}

func (h *helper) Spawned() bool { return control == controlSpawn }

func (h *helper) InContainer() (here bool) {
	h.run.marks.Aside(func() { here = incontainer.Here() })
	return here
}

// InContainer tells whether this process runs in a container, see
// [incontainer.Here].
func InContainer() bool { return incontainer.Here() }

func (h *helper) ExePath() string {
	path, err := os.Executable()
	if err != nil {
		return arguments[0]
	}
	return path
}

func (h *helper) ResourceBuilder() *resource.Builder {
	var flags *genericclioptions.ConfigFlags
	var namespace string
	h.run.marks.Aside(func() {
		flags = h.run.configFlags()
		// Where the settings cannot be read, the builder says so when it is used.
		namespace, _, _ = flags.ToRawKubeConfigLoader().Namespace()
	})
	return resource.NewBuilder(flags).NamespaceParam(namespace).DefaultNamespace()
}

// ToRESTConfig is for actions that need connections of their own to the
// cluster that ResourceBuilder is for.
func (h *helper) ToRESTConfig() (*rest.Config, error) {
	return h.run.configFlags().ToRESTConfig()
}

// configFlags are the settings of this run for Kubernetes.
func (r *run) configFlags() *genericclioptions.ConfigFlags {
	flags := genericclioptions.NewConfigFlags(true)
	config.Kubeconfig.Override(flags.KubeConfig)
	config.Context.Override(flags.Context)
	config.Namespace.Override(flags.Namespace)
	set := pflag.NewFlagSet("falcotest", pflag.ContinueOnError)
	flags.AddFlags(set)
	if err := set.Parse(r.kubeFlags); err != nil {
		// They were made from flags of the same kind.
		r.log.WithError(err).Error("reading the flags for Kubernetes")
	}
	return flags
}

// ID returns the id of this run of the action.
func (h *helper) ID() string { return h.run.id }

// Undo has op written to the journal, and undoes it among the cleanups. What
// vanishes with the process is not written down: the path would mean another
// file outside.
func (h *helper) Undo(op journal.Op) error {
	if h.vanishes(op) {
		h.Cleanup(func() { h.undo(op) }, op)
		return nil
	}
	op.ID = h.run.newID()
	if err := h.run.journal(op); err != nil {
		return err
	}
	h.Cleanup(func() {
		if h.undo(op) == nil {
			h.run.conn.send(message{Type: typeDone, ID: op.ID})
		}
	}, op)
	return nil
}

func (h *helper) undo(op journal.Op) error {
	err := op.Undo()
	if err != nil {
		h.run.log.Error(err)
	}
	return err
}

func (h *helper) vanishes(op journal.Op) bool {
	switch op.Kind {
	case journal.Unmount: // in the process's own namespace
		return hermetic.Active()
	case journal.Remove, journal.RemoveTree, journal.Restore:
		return hermetic.Vanishes(op.Path) || below(op.Path, os.Getenv("TMPDIR"))
	}
	return false
}

// below tells whether path is below dir, both absolute and clean.
func below(path, dir string) bool {
	return dir != "" && len(path) > len(dir) && path[:len(dir)] == dir && path[len(dir)] == filepath.Separator
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

func (r *run) newID() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ops++
	return fmt.Sprintf("%d.%d.%d", os.Getpid(), r.started.UnixNano(), r.ops)
}
