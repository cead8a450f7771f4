// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/container"
	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/incontainer"
)

// NeedContainer is the need of actions that declare a container, where there is no
// engine to make one.
var NeedContainer = events.Need{
	Name: "a container",
	Hint: "start Docker or Podman, or run the tests in a container; FALCOTEST_CONTAINER=docker|podman|off chooses",
}

// Containers makes the containers of actions that need one, by an engine that is
// reached when the first does. It is safe for concurrent use.
type Containers struct {
	choice string // which engine, "" for the first that answers
	image  string // the user's, or "" for one of this executable
	logf   func(format string, args ...any)
	once   sync.Once
	engine atomic.Pointer[container.Engine] // read by tracers while it is being reached
	err    error
}

// NewContainers chooses the engine, "" for the first that answers, and the image, ""
// for one of this executable alone. What it removes of earlier runs it logs.
func NewContainers(engine, image string, logf func(format string, args ...any)) *Containers {
	return &Containers{choice: engine, image: image, logf: logf}
}

// Reach returns the engine, with what killed runs left in it removed.
func (c *Containers) Reach(ctx context.Context) (*container.Engine, error) {
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
			c.logf("from an earlier run: %s", line)
		}
		if err != nil {
			c.logf("removing what earlier runs left: %v", err)
		}
	})
	return c.engine.Load(), c.err
}

// Lookup is what a tracer asks of a container that it meets.
func (c *Containers) Lookup(id string) *event.Container {
	engine := c.engine.Load()
	if engine == nil {
		return nil
	}
	return engine.Container(id)
}

// Here is the container that this process itself runs in, nil on a host. What its
// engine knows of it is known where the engine's socket is there inside too.
func (c *Containers) Here(ctx context.Context) *event.Container {
	if !child.InContainer() {
		return nil
	}
	id, engine := incontainer.Identity()
	if id != "" {
		if e, err := c.Reach(ctx); err == nil {
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

// Close removes the containers that are left.
func (c *Containers) Close() error {
	engine := c.engine.Load()
	if engine == nil {
		return nil
	}
	if err := engine.Close(); err != nil {
		return fmt.Errorf("removing the containers: %w", err)
	}
	return nil
}
