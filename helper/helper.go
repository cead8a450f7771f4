// SPDX-License-Identifier: Apache-2.0

package helper

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/client-go/rest"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/child"
)

// The environment by which a run's Kubernetes settings reach its actions,
// beside KUBECONFIG.
const (
	envNamespace = "FALCOTEST_NAMESPACE"
	envContext   = "FALCOTEST_CONTEXT"
)

// helper is the default events.Helper. It lives in an action's child.
type helper struct {
	log     *logrus.Entry
	process child.Process
	stop    <-chan struct{}

	mu       sync.Mutex
	cleanups []cleanup
}

type cleanup struct {
	f    func()
	args []interface{}
}

var _ events.Helper = (*helper)(nil)

// run runs the action that this process is for, and its cleanups: it is the
// part of an action's child.
func run(p child.Process, stop <-chan struct{}) error {
	action, ok := events.All()[p.Action]
	if !ok {
		return fmt.Errorf("no action named %s is registered in this executable", p.Action)
	}
	h := &helper{log: newLog(p), process: p, stop: stop}
	ended := make(chan error, 1)
	go func() {
		ended <- h.protect(action)
	}()
	select {
	case err := <-ended:
		return err
	case <-stop:
		h.cleanup()
		return child.ErrStopped
	}
}

// protect runs the action and then its cleanups, whatever becomes of it.
func (h *helper) protect(action events.Action) (err error) {
	defer h.cleanup()
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, stack())
		}
	}()
	return action(h)
}

// cleanup runs what Cleanup registered, the last first, each once.
func (h *helper) cleanup() {
	for {
		h.mu.Lock()
		n := len(h.cleanups)
		if n == 0 {
			h.mu.Unlock()
			return
		}
		c := h.cleanups[n-1]
		h.cleanups = h.cleanups[:n-1]
		h.mu.Unlock()
		func() {
			defer func() {
				if v := recover(); v != nil {
					h.log.WithField("panic", v).Error("a cleanup panicked")
				}
			}()
			if len(c.args) > 0 {
				h.log.Debugf("cleaning up %s", strings.TrimSpace(fmt.Sprintln(c.args...)))
			}
			c.f()
		}()
	}
}

func (h *helper) Log() *logrus.Entry { return h.log }

// Sleep waits on the clock of the kernel; it ends early only when the action
// is being stopped, whose cleanups run meanwhile.
func (h *helper) Sleep(d time.Duration) {
	h.log.WithField("duration", d.String()).Info("sleeping")
	t := time.NewTimer(d)
	defer t.Stop()
	<-t.C
}

func (h *helper) Cleanup(f func(), args ...interface{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cleanups = append(h.cleanups, cleanup{f, args})
}

func (h *helper) Spawned() bool { return h.process.Spawned }

func (h *helper) InContainer() bool { return InContainer() }

func (h *helper) ExePath() string {
	exe, err := os.Executable()
	if err != nil {
		h.log.WithError(err).Error("finding the running executable")
		return ""
	}
	return exe
}

func (h *helper) ResourceBuilder() *resource.Builder {
	flags := configFlags()
	// Where the settings cannot be read, the builder says so when it is used.
	namespace, _, _ := flags.ToRawKubeConfigLoader().Namespace()
	return resource.NewBuilder(flags).NamespaceParam(namespace).DefaultNamespace()
}

// ToRESTConfig is for actions that need connections of their own to the
// cluster that ResourceBuilder is for.
func (h *helper) ToRESTConfig() (*rest.Config, error) {
	return configFlags().ToRESTConfig()
}

// configFlags are the Kubernetes settings of this run.
func configFlags() *genericclioptions.ConfigFlags {
	flags := genericclioptions.NewConfigFlags(true)
	if s := os.Getenv(envNamespace); s != "" {
		flags.Namespace = &s
	}
	if s := os.Getenv(envContext); s != "" {
		flags.Context = &s
	}
	return flags
}

// newLog returns the log of an action, which goes to whoever runs it.
func newLog(p child.Process) *logrus.Entry {
	l := logrus.New()
	l.SetOutput(io.Discard)
	l.SetLevel(logrus.DebugLevel)
	l.AddHook(lineHook{p.Log})
	return l.WithFields(logrus.Fields{"action": p.Action})
}

type lineHook struct {
	write func(string)
}

func (lineHook) Levels() []logrus.Level { return logrus.AllLevels }

func (h lineHook) Fire(e *logrus.Entry) error {
	if h.write == nil {
		return errors.New("no one reads this log")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", e.Level, e.Message)
	for _, k := range sortedKeys(e.Data) {
		if k != "action" {
			fmt.Fprintf(&b, " %s=%v", k, e.Data[k])
		}
	}
	h.write(b.String())
	return nil
}
