// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/container"
	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/incontainer"
	"github.com/falcotest/go-falcotest/internal/scenario"
)

// needContainer is the need of actions that declare a container, where there is
// no engine to make one.
var needContainer = events.Need{
	Name: "a container",
	Hint: "start Docker or Podman, or run the tests in a container; FALCOTEST_CONTAINER=docker|podman|off chooses",
}

// containers makes the containers of actions that need one, by an engine that is
// reached when the first does.
type containers struct {
	choice string // which engine, "" for the first that answers
	image  string // the user's, or "" for one of the test binary
	once   sync.Once
	engine atomic.Pointer[container.Engine] // read by tracers while it is being reached
	err    error
}

// need tells whether something needs a container to be made for it.
func (c *containers) need(sel selected) (events.Container, bool) {
	like, ok := sel.container()
	return like, ok && !child.InContainer()
}

// reach returns the engine, with what killed runs left in it removed.
func (c *containers) reach(ctx context.Context, logf func(string, ...any)) (*container.Engine, error) {
	c.once.Do(func() {
		engine, err := container.Default(ctx, c.choice)
		if err != nil {
			c.err = err
			return
		}
		engine.Image = c.image
		c.engine.Store(engine)
		undone, err := engine.Recover(ctx)
		for _, line := range undone {
			logf("from an earlier run: %s", line)
		}
		if err != nil {
			logf("removing what earlier runs left: %v", err)
		}
	})
	return c.engine.Load(), c.err
}

// lookup is what a tracer asks of a container that it meets.
func (c *containers) lookup(id string) *event.Container {
	engine := c.engine.Load()
	if engine == nil {
		return nil
	}
	return engine.Container(id)
}

// here is the container that this process itself runs in, nil on a host. What its
// engine knows of it is known where the engine's socket is there inside too.
func (c *containers) here(ctx context.Context) *event.Container {
	if !child.InContainer() {
		return nil
	}
	id, engine := incontainer.Identity()
	if id != "" {
		if e, err := c.reach(ctx, func(string, ...any) {}); err == nil {
			if known, err := e.Inspect(ctx, id); err == nil {
				known.Own = true
				return known
			}
		}
	}
	if id == "" {
		id = event.UnknownText // it is not the host, at any rate
	}
	here := &event.Container{
		ID: id[:min(12, len(id))], FullID: id, Type: engine, Own: true, Unknown: event.UnknownEngine,
		// As of the containers that are made for actions.
		Name: "falcotest", Image: "falcotest/action:latest", Repository: "falcotest/action", Tag: "latest",
	}
	namespace, _ := os.ReadFile("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
	here.PodNamespace = strings.TrimSpace(string(namespace))
	return here
}

func (c *containers) close() error {
	engine := c.engine.Load()
	if engine == nil {
		return nil
	}
	if err := engine.Close(); err != nil {
		return fmt.Errorf("removing the containers: %w", err)
	}
	return nil
}

// strangerToFalco tells whether a real Falco judged an action in a container of
// which it did not know enough: more than the id, or the names of its users. It
// asks the container's engine while the container runs already, so that fields such as
// container.privileged come some time after the first events; and it reads the
// users from a process of the container, if one of another user than root still
// lives when it comes to its events. It makes the result inconclusive.
func (s *Session) strangerToFalco(sel selected, r *Result, w watcher) bool {
	if _, made := s.containers.need(sel); !made || w != nil {
		return false
	}
	fields := []string{"container.name"}
	if sc := sel.scenario(); sc != nil && slices.ContainsFunc(sc.Processes, func(p scenario.Process) bool { return p.User != "" }) {
		fields = append(fields, "user.name")
	}
	for _, a := range r.Alerts {
		for _, name := range fields {
			_, printed := a.Fields[name]
			if _, known := a.Field(name); !printed || known {
				continue
			}
			r.Outcome = Inconclusive
			r.Reason = "Falco did not know the action's container yet: its alerts say <NA> for " + name
			r.Hint = "see that Falco's container plugin may reach the engine's socket"
			if name == "user.name" {
				r.Hint = "see that Falco may read /proc/1/root, and /proc/PID/root/etc/passwd of the container's processes"
				if _, err := os.Stat("/proc/1/root/"); err != nil && os.Geteuid() == 0 {
					r.Outcome = Skipped
					r.Reason = fmt.Sprintf("Falco names no users of containers here: it looks at /proc/1/root for that, which root may not do on this machine: %v", err)
				}
			}
			return true
		}
	}
	return false
}

// settle keeps an action in a container at its gate for a while when an earlier
// attempt was over before Falco knew the container. Falco gives no sign of when
// it does.
func (s *Session) settle(ctx context.Context, sel selected, attempt int) {
	if _, made := s.containers.need(sel); !made || attempt < 2 {
		return
	}
	t := time.NewTimer(time.Duration(attempt-1) * time.Second)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
