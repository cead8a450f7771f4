// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"context"
	"fmt"
	"sync"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/container"
	"github.com/falcotest/go-falcotest/internal/event"
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
	once   sync.Once
	engine *container.Engine
	err    error
}

// need tells whether an action needs a container to be made for it.
func (c *containers) need(action string) (events.Container, bool) {
	like, ok := events.ContainerOf(action)
	return like, ok && !child.InContainer()
}

// reach returns the engine, with what killed runs left in it removed.
func (c *containers) reach(ctx context.Context, logf func(string, ...any)) (*container.Engine, error) {
	c.once.Do(func() {
		if c.engine, c.err = container.Default(ctx); c.err != nil {
			return
		}
		undone, err := c.engine.Recover(ctx)
		for _, line := range undone {
			logf("from an earlier run: %s", line)
		}
		if err != nil {
			logf("removing what earlier runs left: %v", err)
		}
	})
	return c.engine, c.err
}

// lookup is what a tracer asks of a container that it meets.
func (c *containers) lookup(id string) *event.Container {
	if c.engine == nil {
		return nil
	}
	return c.engine.Container(id)
}

func (c *containers) close() error {
	if c.engine == nil {
		return nil
	}
	if err := c.engine.Close(); err != nil {
		return fmt.Errorf("removing the containers: %w", err)
	}
	return nil
}
