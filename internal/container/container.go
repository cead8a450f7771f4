// SPDX-License-Identifier: Apache-2.0

// Package container runs an action's process (package child) in a container
// that it makes for it, by the engine on this machine: Docker, or Podman, which
// serves the same API.
//
// The image is made from this executable, this machine's bash and programs that
// scripts use, what they are linked with, and the files that the action declares:
// nothing is pulled. The container waits for
// its gate over its standard streams; a tracer attaches to its first process
// from outside. Containers are removed by the engine when they end. What a
// killed run leaves is found by labels and removed by [Engine.Recover].
//
// It uses the engine API's own client (github.com/moby/moby/client): the
// streams must be attached before the container starts, the process's number
// and all that Falco says of a container come from inspecting it, and images
// are imported, not built. Libraries for testing with containers are made for
// services that are pulled and waited for, and bring a helper container.
//
// It imports packages events, internal/child, internal/config, internal/event,
// internal/journal and internal/turns. Data enters by
// a child.Spec and an events.Container, and leaves by a child.Child and an
// event.Container.
package container

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/container"
	api "github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/journal"
	"github.com/falcotest/go-falcotest/internal/turns"
)

// The labels of what this package makes.
const (
	labelOwner = "org.falcotest.owner" // the process that made it
	labelID    = "org.falcotest.id"    // the id of the action's run
)

// UnavailableError says why there is no container engine to use.
type UnavailableError struct {
	Reason string
	Err    error
}

// Error implements error.
func (e *UnavailableError) Error() string {
	if e.Err == nil {
		return e.Reason
	}
	return e.Reason + ": " + e.Err.Error()
}

// Unwrap returns the underlying error.
func (e *UnavailableError) Unwrap() error { return e.Err }

// Engine is a connection to a container engine. It is safe for concurrent use.
type Engine struct {
	// Image is used instead of images made from this executable, which must
	// then be statically linked or find its libraries there. Set it before the
	// first Start. Nothing is pulled.
	Image string

	cli   *client.Client
	name  string // docker or podman
	host  string
	owner string

	journaling sync.Once
	journal    *journal.Dir // by which any later run removes what this one made, if it is killed
	journalErr error

	images imageCache

	mu      sync.Mutex
	facts   map[string]*event.Container // by full ID, of containers made here
	running map[string]struct{}         // IDs of containers that are not gone yet
	turns   []*turns.Turn               // for the names of images
}

// Default connects to the engine of the choice, docker or podman, or to the
// first that answers if it is empty: Docker, then Podman. Each is found as its own command
// line does: DOCKER_HOST or CONTAINER_HOST, else the usual sockets. The error
// is an [UnavailableError]. Close the engine when it is no longer needed.
func Default(ctx context.Context, choice string) (*Engine, error) {
	var errs []error
	for _, candidate := range []struct {
		name  string
		hosts []string
	}{
		{"docker", dockerHosts()},
		{"podman", podmanHosts()},
	} {
		if choice != "" && choice != candidate.name {
			continue
		}
		for _, host := range candidate.hosts {
			e, err := connect(ctx, candidate.name, host)
			if err == nil {
				return e, nil
			}
			errs = append(errs, err)
		}
	}
	switch {
	case choice == "off":
		return nil, &UnavailableError{Reason: "container engines are turned off by " + config.Container.Variable + "=off"}
	case len(errs) == 0 && choice != "" && choice != "podman":
		return nil, &UnavailableError{Reason: fmt.Sprintf("%s=%s is none of docker, podman, off", config.Container.Variable, choice)}
	case len(errs) == 0:
		return nil, &UnavailableError{Reason: "there is no socket of a container engine"}
	}
	return nil, &UnavailableError{Reason: "no container engine answers", Err: errors.Join(errs...)}
}

func dockerHosts() []string {
	if host := os.Getenv("DOCKER_HOST"); host != "" {
		return []string{host}
	}
	hosts := []string{client.DefaultDockerHost}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		hosts = append(hosts, sockets(filepath.Join(dir, "docker.sock"))...)
	}
	return hosts
}

func podmanHosts() []string {
	if host := os.Getenv("CONTAINER_HOST"); host != "" {
		return []string{host}
	}
	candidates := []string{"/run/podman/podman.sock"}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		candidates = append([]string{filepath.Join(dir, "podman", "podman.sock")}, candidates...)
	}
	return sockets(candidates...)
}

func sockets(paths ...string) (hosts []string) {
	for _, path := range paths {
		if _, err := os.Stat(path); err == nil {
			hosts = append(hosts, "unix://"+path)
		}
	}
	return hosts
}

func connect(ctx context.Context, name, host string) (*Engine, error) {
	options := []client.Opt{client.WithHost(host)}
	if name == "docker" {
		options = append([]client.Opt{client.FromEnv}, options...)
	}
	cli, err := client.New(options...)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s at %s: %w", name, host, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if _, err := cli.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		cli.Close()
		return nil, fmt.Errorf("connecting to %s at %s: %w", name, host, err)
	}
	return &Engine{
		cli:     cli,
		name:    name,
		host:    host,
		owner:   ownerLabel(),
		facts:   make(map[string]*event.Container),
		running: make(map[string]struct{}),
	}, nil
}

// Name returns the engine's name, docker or podman.
func (e *Engine) Name() string { return e.name }

// Container returns what is known of a container that this engine made, by its
// full ID; nil for others.
func (e *Engine) Container(id string) *event.Container {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.facts[id]
}

// Close removes the containers and images that were made and closes the
// connection.
func (e *Engine) Close() error {
	// What was made is removed also when the caller's context has ended.
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	e.mu.Lock()
	running := maps.Clone(e.running)
	e.mu.Unlock()
	var errs []error
	for id := range running {
		errs = append(errs, e.remove(ctx, id))
	}
	errs = append(errs, e.removeImages(ctx, e.images.all()), e.cli.Close())
	for _, turn := range e.turns {
		turn.Release()
	}
	if e.journal != nil {
		// What could not be removed is found by its labels.
		errs = append(errs, e.journal.Done(opContainers))
		_, err := e.journal.Close()
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// opContainers is the ID of the operation that removes what a run made.
const opContainers = "containers"

func init() { journal.UndoContainers(undoContainers) }

// undoContainers removes what a run that is dead made.
func undoContainers(op journal.Op) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	e, err := connect(ctx, op.Path, op.Host)
	if err != nil {
		return err
	}
	defer e.cli.Close()
	_, err = e.removeOf(ctx, client.Filters{}.Add("label", labelOwner+"="+op.Owner), func(string) bool { return true })
	return err
}

// writeDown notes in a journal, before anything is made, what is to be removed.
func (e *Engine) writeDown() error {
	e.journaling.Do(func() {
		if e.journal, e.journalErr = journal.CreatePrivate("", "containers-"+rand.Text()[:12]); e.journalErr == nil {
			e.journalErr = e.journal.Add(journal.Op{ID: opContainers, Kind: journal.Containers, Path: e.name, Host: e.host, Owner: e.owner})
		}
	})
	return e.journalErr
}

func (e *Engine) remove(ctx context.Context, id string) error {
	_, err := e.cli.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if err != nil && !gone(err) {
		return fmt.Errorf("removing the container %.12s: %w", id, err)
	}
	e.mu.Lock()
	delete(e.running, id)
	e.mu.Unlock()
	return nil
}

func (e *Engine) removeImages(ctx context.Context, refs []string) error {
	var errs []error
	for _, ref := range refs {
		_, err := e.cli.ImageRemove(ctx, ref, client.ImageRemoveOptions{Force: true, PruneChildren: true})
		if err != nil && !gone(err) {
			errs = append(errs, fmt.Errorf("removing the image %s: %w", ref, err))
		}
	}
	return errors.Join(errs...)
}

// Recover removes containers and images of this machine's earlier runs whose
// process is dead, and returns a line for each.
func (e *Engine) Recover(ctx context.Context) (report []string, err error) {
	return e.removeOf(ctx, client.Filters{}.Add("label", labelOwner), ownerIsDead)
}

// removeOf removes the containers and images of owners that are dead.
func (e *Engine) removeOf(ctx context.Context, filters client.Filters, dead func(owner string) bool) (report []string, err error) {
	var errs []error
	containers, err := e.cli.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filters})
	if err != nil {
		return nil, fmt.Errorf("looking for containers that earlier runs left: %w", err)
	}
	for _, c := range containers.Items {
		if !dead(c.Labels[labelOwner]) {
			continue
		}
		if err := e.remove(ctx, c.ID); err != nil {
			errs = append(errs, err)
			continue
		}
		report = append(report, fmt.Sprintf("removed a container that an earlier run left: %.12s", c.ID))
	}
	images, err := e.cli.ImageList(ctx, client.ImageListOptions{All: true, Filters: filters})
	if err != nil {
		return report, errors.Join(append(errs, fmt.Errorf("looking for images that earlier runs left: %w", err))...)
	}
	// Those first that were made of others, which cannot be removed as long as they are there.
	slices.SortStableFunc(images.Items, func(a, b api.Summary) int { return strings.Compare(b.ParentID, a.ParentID) })
	for _, image := range images.Items {
		if !dead(image.Labels[labelOwner]) {
			continue
		}
		if err := e.removeImages(ctx, []string{image.ID}); err != nil {
			errs = append(errs, err)
			continue
		}
		report = append(report, "removed an image that an earlier run left: "+strings.Join(image.RepoTags, ", "))
	}
	return report, errors.Join(errs...)
}

// Inspect returns what Falco says of any container of this engine, by its ID.
func (e *Engine) Inspect(ctx context.Context, id string) (*event.Container, error) {
	c, err := e.cli.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return nil, fmt.Errorf("asking %s for the container %.12s: %w", e.name, id, err)
	}
	return e.describe(c.Container, events.Container{}), nil
}

// describe returns what Falco says of the container.
func (e *Engine) describe(c container.InspectResponse, like events.Container) *event.Container {
	repository, tag := c.Config.Image, ""
	if i := strings.LastIndexByte(repository, ':'); i > strings.LastIndexByte(repository, '/') {
		repository, tag = repository[:i], repository[i+1:]
	}
	info := &event.Container{
		ID:          c.ID[:min(12, len(c.ID))],
		FullID:      c.ID,
		Name:        strings.TrimPrefix(c.Name, "/"),
		Type:        e.name,
		Image:       c.Config.Image,
		ImageID:     shortImageID(c.Image),
		Repository:  repository,
		Tag:         tag,
		Privileged:  like.Privileged,
		Labels:      c.Config.Labels,
		Env:         c.Config.Env,
		HostPID:     like.HostPID,
		HostNetwork: like.HostNetwork,
		Complete:    true,
	}
	if c.HostConfig != nil {
		info.Privileged = c.HostConfig.Privileged
		info.HostIPC = c.HostConfig.IpcMode.IsHost()
	}
	if t, err := time.Parse(time.RFC3339Nano, c.Created); err == nil {
		info.StartTime = t.UnixNano()
	}
	for _, m := range c.Mounts {
		info.Mounts = append(info.Mounts, event.Mount{
			Source: m.Source, Dest: m.Destination, Mode: m.Mode, RW: m.RW, Propagation: string(m.Propagation),
		})
	}
	if c.NetworkSettings != nil {
		for _, n := range c.NetworkSettings.Networks {
			if n != nil && n.IPAddress.IsValid() {
				info.IP = n.IPAddress.String()
			}
		}
	}
	return info
}

func shortImageID(id string) string {
	id = strings.TrimPrefix(id, "sha256:")
	return id[:min(12, len(id))]
}
