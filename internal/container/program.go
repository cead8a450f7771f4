// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/falcotest/go-falcotest/events"
)

// Program is a run of this executable that is no action's, such as of its tests.
type Program struct {
	Args   []string  // after the executable
	Env    []string  // NAME=value, all that it gets
	Dir    string    // its working directory; empty means /
	Output io.Writer // what it writes to standard output and error; nil discards it
}

// Run runs this executable in a container like the given one and returns when
// it has ended and the container is gone: nil for the exit status 0. When ctx
// ends, the container is killed.
func (e *Engine) Run(ctx context.Context, p Program, like events.Container) error {
	if err := e.run(ctx, p, like); err != nil {
		return fmt.Errorf("running this executable in a container: %w", err)
	}
	return nil
}

func (e *Engine) run(ctx context.Context, p Program, like events.Container) (err error) {
	image, err := e.image(ctx, like)
	if err != nil {
		return err
	}
	created, err := e.cli.ContainerCreate(ctx, client.ContainerCreateOptions{
		Config: &container.Config{
			Image: image.ref, Entrypoint: []string{image.executable}, Cmd: p.Args, User: like.User,
			Labels: map[string]string{labelOwner: e.owner}, Env: slices.Clone(p.Env), WorkingDir: p.Dir,
			AttachStdout: true, AttachStderr: true,
		},
		HostConfig: hostConfig(like, image),
	})
	if err != nil {
		return err
	}
	e.mu.Lock()
	e.running[created.ID] = struct{}{}
	e.mu.Unlock()
	r := &running{engine: e, id: created.ID}
	defer func() { err = errors.Join(err, r.discard()) }()
	attached, err := e.cli.ContainerAttach(ctx, r.id, client.ContainerAttachOptions{Stream: true, Stdout: true, Stderr: true})
	if err != nil {
		return err
	}
	defer attached.Close()
	waiting, stopWaiting := context.WithCancel(context.Background())
	r.stopWaiting = stopWaiting
	r.ended = e.cli.ContainerWait(waiting, r.id, client.ContainerWaitOptions{Condition: container.WaitConditionRemoved})
	if _, err := e.cli.ContainerStart(ctx, r.id, client.ContainerStartOptions{}); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { r.kill() })
	if p.Output == nil {
		p.Output = io.Discard
	}
	_, err = stdcopy.StdCopy(p.Output, p.Output, attached.Reader)
	if ended := r.wait(nil); ended != "" {
		err = errors.Join(errors.New(ended), err)
	}
	if !stop() {
		err = context.Cause(ctx)
	}
	return err
}
