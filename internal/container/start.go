// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/journal"
	"github.com/falcotest/go-falcotest/internal/tail"
)

// patience bounds requests to the engine that must be made whatever became of
// the caller's context.
const patience = 30 * time.Second

func gone(err error) bool { return cerrdefs.IsNotFound(err) || cerrdefs.IsConflict(err) }

// Start makes a container like the given one, starts the action's process in
// it, and returns when that waits at its gate, with what Falco says of the
// container. The process's number is that on this machine.
func (e *Engine) Start(ctx context.Context, spec child.Spec, like events.Container) (*child.Child, *event.Container, error) {
	fail := func(err error) (*child.Child, *event.Container, error) {
		return nil, nil, fmt.Errorf("starting a container for %s: %w", spec.Action, err)
	}
	if spec.ID == "" {
		spec.ID = child.NewID()
	}
	if err := e.writeDown(); err != nil {
		return fail(err)
	}
	image, err := e.image(ctx, like)
	if err != nil {
		return fail(err)
	}
	id, err := e.create(ctx, spec, like, image)
	if err != nil {
		return fail(err)
	}
	r := &running{engine: e, id: id, copied: make(chan struct{})}
	attached, err := e.cli.ContainerAttach(ctx, id, client.ContainerAttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true})
	if err != nil {
		return fail(errors.Join(err, r.discard()))
	}
	r.conn = &attached.HijackedResponse
	// Asked before the start, so that no end is too soon to be seen.
	waiting, stopWaiting := context.WithCancel(context.Background())
	r.stopWaiting = stopWaiting
	r.ended = e.cli.ContainerWait(waiting, id, client.ContainerWaitOptions{Condition: container.WaitConditionRemoved})
	if _, err := e.cli.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
		r.conn.Close()
		return fail(errors.Join(err, r.discard()))
	}
	inspected, err := e.cli.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		r.conn.Close()
		return fail(errors.Join(err, r.discard()))
	}
	pid := 0
	if state := inspected.Container.State; state != nil && here(state.Pid, id) {
		pid = state.Pid
	}
	info := e.describe(inspected.Container, like)
	e.mu.Lock()
	e.facts[id] = info
	e.mu.Unlock()

	out, outWriter := io.Pipe()
	r.tail = &tail.Writer{Sink: spec.Output}
	go func() {
		defer close(r.copied)
		_, err := stdcopy.StdCopy(outWriter, r.tail, r.conn.Reader)
		outWriter.CloseWithError(err) // nil is EOF
	}()
	c, err := child.Connect(ctx, spec, child.Transport{
		In:     r,
		Out:    out,
		PID:    pid,
		Kill:   r.kill,
		Wait:   r.wait,
		Output: r.tail.String,
		Close: func() ([]string, error) {
			out.Close() // whoever still writes to it goes on
			return nil, r.discard()
		},
	})
	if err != nil {
		return nil, nil, err
	}
	return c, info, nil
}

// here tells whether a process of this machine, as this process sees it, is in
// the container: the engine may be on another machine, or in another PID
// namespace.
func here(pid int, id string) bool {
	if pid <= 0 {
		return false
	}
	cgroup, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	return err == nil && strings.Contains(string(cgroup), id)
}

func (e *Engine) create(ctx context.Context, spec child.Spec, like events.Container, image image) (id string, err error) {
	env, args := child.Environ(spec)
	name := like.Name
	if name == "" {
		name = "falcotest"
	}
	if !like.WholeName || like.Name == "" {
		name += "-" + spec.ID
	}
	labels := map[string]string{labelOwner: e.owner, labelID: spec.ID}
	maps.Copy(labels, like.Labels)
	// What SpawnAs executes must not be on the container's overlay, where it
	// would be a program that the image does not have.
	host := hostConfig(like, image)
	host.Tmpfs = map[string]string{temp(spec.ID): "exec,suid,mode=1777"}
	created, err := e.named(ctx, client.ContainerCreateOptions{
		Name: name,
		Config: &container.Config{
			Image:        image.ref,
			Entrypoint:   []string{image.executable},
			Cmd:          args,
			User:         like.User,
			Labels:       labels,
			Env:          append(append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TMPDIR=" + temp(spec.ID)}, spec.Env...), env...),
			WorkingDir:   "/",
			AttachStdin:  true,
			AttachStdout: true,
			AttachStderr: true,
			OpenStdin:    true,
			StdinOnce:    true,
		},
		HostConfig: host,
	})
	if err != nil {
		return "", err
	}
	e.mu.Lock()
	e.running[created.ID] = struct{}{}
	e.mu.Unlock()
	return created.ID, nil
}

// sameName is how long a container waits for another of the same name to end.
const sameName = time.Minute

// named makes a container, when its name is free.
func (e *Engine) named(ctx context.Context, opts client.ContainerCreateOptions) (client.ContainerCreateResult, error) {
	const again = 50 * time.Millisecond
	for deadline := time.Now().Add(sameName); ; {
		created, err := e.cli.ContainerCreate(ctx, opts)
		if !cerrdefs.IsConflict(err) || time.Now().After(deadline) {
			return created, err
		}
		select {
		case <-ctx.Done():
			return created, errors.Join(err, context.Cause(ctx))
		case <-time.After(again):
		}
	}
}

// hostConfig is what the engine must do for a container.
func hostConfig(like events.Container, image image) *container.HostConfig {
	host := &container.HostConfig{
		AutoRemove:  true,
		Privileged:  like.Privileged,
		CapAdd:      like.CapAdd,
		Binds:       like.Mounts,
		NetworkMode: "none",
	}
	if image.bind != "" {
		host.Binds = append(slices.Clone(host.Binds), image.bind)
	}
	if like.SeccompUnconfined {
		host.SecurityOpt = []string{"seccomp=unconfined"}
	}
	if like.HostNetwork {
		host.NetworkMode = "host"
	}
	if like.HostPID {
		host.PidMode = "host"
	}
	return host
}

// temp is the directory for temporary files in the container. Its name has the
// id, so that the paths of what SpawnAs executes have it.
func temp(id string) string { return "/tmp/falcotest-" + id }

// running is a container's process; it is also the way to its standard input.
type running struct {
	engine      *Engine
	id          string
	conn        *client.HijackedResponse
	ended       client.ContainerWaitResult
	stopWaiting context.CancelFunc
	tail        *tail.Writer
	copied      chan struct{} // closed when its output has ended

	close sync.Once
}

func (r *running) Write(p []byte) (int, error) { return r.conn.Conn.Write(p) }

// Close ends the container's standard input.
func (r *running) Close() error {
	var err error
	r.close.Do(func() { err = r.conn.CloseWrite() })
	return err
}

func (r *running) kill() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := r.engine.cli.ContainerKill(ctx, r.id, client.ContainerKillOptions{Signal: "KILL"})
	if err != nil && !gone(err) {
		return fmt.Errorf("killing the container %.12s: %w", r.id, err)
	}
	return nil
}

func (r *running) wait(exit func() string) string {
	var ended string
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case res := <-r.ended.Result:
		switch code := res.StatusCode; {
		case res.Error != nil:
			ended = res.Error.Message
		case code > 128 && code < 128+65:
			ended = fmt.Sprintf("exit status %d, which stands for signal %d", code, code-128)
		case code != 0:
			ended = fmt.Sprintf("exit status %d", code)
		}
	case err := <-r.ended.Error:
		ended = fmt.Sprintf("the container engine does not say: %v", err)
	case <-timer.C:
		ended = "the container engine does not say"
	}
	if exit != nil {
		if s := exit(); s != "" {
			ended = s
		}
	}
	return ended
}

// discard removes the container and closes all that belongs to it.
func (r *running) discard() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := r.engine.remove(ctx, r.id)
	if r.stopWaiting != nil {
		r.stopWaiting()
	}
	if r.conn != nil {
		r.conn.Close()
	}
	if r.tail != nil {
		<-r.copied
	}
	return err
}

// ownerLabel names this process for good: this boot of the machine, its
// number, and when it started.
func ownerLabel() string {
	start, _ := journal.StartOf(os.Getpid())
	return fmt.Sprintf("%s/%d/%d", machine(), os.Getpid(), start)
}

// machine is this boot of the machine and this PID namespace of it.
func machine() string {
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	ns, _ := os.Readlink("/proc/self/ns/pid")
	host, _ := os.Hostname()
	return fmt.Sprintf("%s/%s/%s", host, strings.TrimSpace(string(boot)), filepath.Base(ns))
}

// ownerIsDead tells whether the process of a label is dead for sure. Of
// another machine or PID namespace it is not.
func ownerIsDead(label string) bool {
	i := strings.LastIndexByte(label, '/')
	if i < 0 {
		return false
	}
	j := strings.LastIndexByte(label[:i], '/')
	if j < 0 || label[:j] != machine() {
		return false
	}
	pid, err1 := strconv.Atoi(label[j+1 : i])
	start, err2 := strconv.ParseUint(label[i+1:], 10, 64)
	if err1 != nil || err2 != nil || start == 0 {
		return false
	}
	now, err := journal.StartOf(pid)
	return errors.Is(err, os.ErrNotExist) || err == nil && now != start
}
