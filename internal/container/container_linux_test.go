// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/journal"
)

func TestMain(m *testing.M) {
	child.Main()
	os.Exit(m.Run())
}

func init() {
	for name, action := range map[string]events.Action{
		"describes": func(h events.Helper) error {
			content, _ := os.ReadFile("/etc/special")
			exe, _ := os.Readlink("/proc/self/exe")
			_, err := os.Stat("/mounted/file")
			h.Log().WithFields(map[string]any{
				"container": h.InContainer(), "special": string(content), "exe": exe, "uid": os.Getuid(),
				"id": os.Getenv("FALCOTEST_ID"), "tmp": os.TempDir(), "mounted": err == nil,
			}).Info("me")
			return nil
		},
		"spawns": func(h events.Helper) error { return h.SpawnAs("httpd", "container.describes", "-x") },
		"hangs":  func(h events.Helper) error { h.Log().Info("hanging"); select {} },
		"dies":   func(h events.Helper) error { return unix.Kill(os.Getpid(), unix.SIGABRT) },
		"skips":  func(h events.Helper) error { return &events.ErrSkipped{Reason: "no reason"} },
		"mounts": func(h events.Helper) error {
			return unix.Mount("tmpfs", "/tmp", "tmpfs", 0, "")
		},
	} {
		events.RegisterWithName(action, "container."+name)
	}
}

func engine(t *testing.T) *Engine {
	t.Helper()
	e, err := Default(t.Context(), "")
	if err != nil {
		t.Skipf("no container engine: %v", err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func run(t *testing.T, e *Engine, spec child.Spec, like events.Container) child.Result {
	t.Helper()
	c, info, err := e.Start(t.Context(), spec, like)
	if err != nil {
		t.Fatal(err)
	}
	if e.Container(info.FullID) != info {
		t.Error("the container is not known by its ID")
	}
	if err := c.Go(child.Setup{}); err != nil {
		t.Fatal(err)
	}
	res := c.Wait(t.Context())
	for _, r := range res.Log {
		t.Log(r)
	}
	if _, err := e.cli.ContainerInspect(t.Context(), info.FullID, client.ContainerInspectOptions{}); err == nil {
		t.Error("the container is still there")
	}
	return res
}

func fields(t *testing.T, res child.Result) map[string]string {
	t.Helper()
	for _, r := range res.Log {
		if r.Message == "me" {
			return r.Fields
		}
	}
	t.Fatalf("no description: %s (%s)\n%s", res.Outcome, res.Reason, res.Output)
	return nil
}

func TestActionsRunInContainers(t *testing.T) {
	e := engine(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	like := events.Container{
		User: "65534:65534", Repository: "example.com/some/app", Name: "part",
		Files: map[string]string{"/etc/special": "content"}, Mounts: []string{dir + ":/mounted:ro"},
		Labels: map[string]string{"x": "y"},
	}
	got := fields(t, run(t, e, child.Spec{Action: "container.describes", ID: "ft1"}, like))
	want := map[string]string{
		"action": "container.describes", "container": "true", "special": "content", "exe": "/container.test", "uid": "65534",
		"id": "ft1", "tmp": "/tmp/falcotest-ft1", "mounted": "true",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got = fields(t, run(t, e, child.Spec{Action: "container.spawns", ID: "ft2"}, events.Container{}))
	if exe := got["exe"]; !strings.HasPrefix(exe, "/tmp/falcotest-ft2/") || filepath.Base(exe) != "httpd" {
		t.Errorf("the spawned executable is %s", exe)
	}
}

func TestOutcomes(t *testing.T) {
	e := engine(t)
	for _, test := range []struct {
		action  string
		outcome child.Outcome
		reason  string
	}{
		{"skips", child.Skipped, "no reason"},
		{"dies", child.Failed, "ended without a report: exit status 2"},
		{"mounts", child.Failed, "operation not permitted"},
	} {
		t.Run(test.action, func(t *testing.T) {
			res := run(t, e, child.Spec{Action: "container." + test.action}, events.Container{})
			if res.Outcome != test.outcome || !strings.Contains(res.Reason, test.reason) {
				t.Errorf("got %s (%s)", res.Outcome, res.Reason)
			}
		})
	}
	t.Run("capability", func(t *testing.T) {
		res := run(t, e, child.Spec{Action: "container.mounts"}, events.Container{CapAdd: []string{"SYS_ADMIN"}, Privileged: true})
		if res.Outcome != child.Completed {
			t.Errorf("got %s (%s)", res.Outcome, res.Reason)
		}
	})
}

func TestFacts(t *testing.T) {
	e := engine(t)
	c, info, err := e.Start(t.Context(), child.Spec{Action: "container.describes", ID: "ft3"},
		events.Container{Name: "part", Repository: "example.com/some/app", Labels: map[string]string{"x": "y"}})
	if err != nil {
		t.Fatal(err)
	}
	pid := c.PID()
	cgroup, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil || !strings.Contains(string(cgroup), info.FullID) {
		t.Errorf("process %d is not in the container: %v", pid, err)
	}
	c.Kill(nil)
	if len(info.ID) != 12 || !strings.HasPrefix(info.FullID, info.ID) || info.Name != "part-ft3" || info.Repository != "example.com/some/app" ||
		!strings.HasPrefix(info.Tag, "falcotest-") || info.Image != info.Repository+":"+info.Tag || len(info.ImageID) != 12 ||
		info.Labels["x"] != "y" || !slices.Contains(info.Env, "FALCOTEST_ID=ft3") || info.StartTime == 0 || !info.Complete || info.Type != e.Name() {
		t.Errorf("got %+v", info)
	}
	if err := unix.Kill(pid, 0); !errors.Is(err, unix.ESRCH) {
		t.Errorf("process %d: %v", pid, err)
	}
}

func TestStop(t *testing.T) {
	e := engine(t)
	seen := make(chan struct{}, 1)
	c, _, err := e.Start(t.Context(), child.Spec{Action: "container.hangs", Deadline: time.Millisecond, Log: func(child.Record) { seen <- struct{}{} }}, events.Container{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Go(child.Setup{}); err != nil {
		t.Fatal(err)
	}
	<-seen
	if res := c.Wait(t.Context()); res.Outcome != child.TimedOut {
		t.Errorf("got %s (%s)", res.Outcome, res.Reason)
	}
}

// What a killed run left goes with any later run, also one that has nothing to do
// with containers and undoes what the journals say.
func TestKilledRunByJournal(t *testing.T) {
	e := engine(t)
	t.Setenv("TMPDIR", t.TempDir())
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledRun$")
	cmd.Env = append(os.Environ(), "CONTAINER_TEST_DIE=1")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("%v\n%s", err, out)
	}
	report, err := journal.Recover("")
	if text := strings.Join(report, "\n"); err != nil || !strings.Contains(text, "remove the containers and images of a run") {
		t.Errorf("recovered %q, %v", text, err)
	}
	// Others may be killed beside this test.
	report, err = e.Recover(t.Context())
	if text := strings.Join(report, "\n"); err != nil || strings.Contains(text, "example.com/left/behind") {
		t.Errorf("by labels, there is still: %q, %v", text, err)
	}
}

// TestKilledRun lets a process make a container and die.
func TestKilledRun(t *testing.T) {
	if os.Getenv("CONTAINER_TEST_DIE") != "" {
		e, err := Default(context.Background(), "")
		if err != nil {
			t.Fatal(err)
		}
		c, _, err := e.Start(context.Background(), child.Spec{Action: "container.hangs"}, events.Container{Repository: "example.com/left/behind"})
		if err != nil {
			t.Fatal(err)
		}
		_ = c
		unix.Kill(os.Getpid(), unix.SIGKILL)
		select {}
	}
	e := engine(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledRun$")
	cmd.Env = append(os.Environ(), "CONTAINER_TEST_DIE=1", "TMPDIR="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("%v\n%s", err, out)
	}
	report, err := e.Recover(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(report, "\n"); !strings.Contains(text, "example.com/left/behind") {
		t.Errorf("recovered %q", text)
	}
	if report, err = e.Recover(t.Context()); err != nil || len(report) > 0 {
		t.Errorf("recovered again: %q, %v", report, err)
	}
}

func TestOff(t *testing.T) {
	for value, want := range map[string]string{
		"off":  "container engines are turned off by FALCOTEST_CONTAINER=off",
		"lxcs": "FALCOTEST_CONTAINER=lxcs is none of docker, podman, off",
	} {
		_, err := Default(t.Context(), value)
		var u *UnavailableError
		if !errors.As(err, &u) || err.Error() != want {
			t.Errorf("got %v", err)
		}
	}
	t.Setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
	if _, err := Default(t.Context(), "docker"); err == nil || !strings.Contains(err.Error(), "no container engine answers") {
		t.Errorf("got %v", err)
	}
}

func TestGivenImage(t *testing.T) {
	made, err := engine(t).image(t.Context(), events.Container{})
	if err != nil {
		t.Fatal(err)
	}
	e := engine(t)
	e.Image = made.ref
	c, _, err := e.Start(t.Context(), child.Spec{Action: "container.describes"}, events.Container{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Go(child.Setup{}); err != nil {
		t.Fatal(err)
	}
	if res := c.Wait(t.Context()); res.Outcome != child.Completed {
		t.Errorf("%s: %v\n%s", res.Outcome, res.Err, res.Output)
	}
	e.Image = "falcotest/no-such-image"
	if _, _, err := e.Start(t.Context(), child.Spec{Action: "container.describes"}, events.Container{}); err == nil {
		t.Error("an image that is not there was used")
	}
}

// A container that asks for it has just its name and its image's, and waits for one
// of the same name to end.
func TestWholeNames(t *testing.T) {
	e := engine(t)
	name := "whole-" + strings.ToLower(rand.Text()[:8])
	like := events.Container{Name: name, WholeName: true, Repository: "example.com:5000/" + name, Tag: "v1"}
	first, info, err := e.Start(t.Context(), child.Spec{Action: "container.hangs"}, like)
	if err != nil {
		t.Fatal(err)
	}
	if info.Name != name || info.Image != like.Repository+":v1" || info.Tag != "v1" {
		t.Errorf("the container is %q, of the image %q", info.Name, info.Image)
	}
	// A Falco goes by the names of the image rather than by the one that was asked for.
	made, err := e.cli.ContainerInspect(t.Context(), info.FullID, client.ContainerInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	image, err := e.cli.ImageInspect(t.Context(), made.Container.Image)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{like.Repository + ":v1"}, image.RepoTags); diff != "" {
		t.Errorf("names of the image (-want +got):\n%s", diff)
	}
	started := make(chan error)
	go func() {
		second, info, err := e.Start(t.Context(), child.Spec{Action: "container.hangs"}, like)
		if err == nil {
			if info.Name != name {
				err = fmt.Errorf("the second container is %q", info.Name)
			}
			second.Kill(nil)
		}
		started <- err
	}()
	select {
	case err := <-started:
		t.Errorf("a second container of the same name started beside the first: %v", err)
		first.Kill(nil)
		return
	case <-time.After(100 * time.Millisecond):
	}
	first.Kill(nil)
	if err := <-started; err != nil {
		t.Error(err)
	}
}

// Two runs with an image of one name make it one after the other: each container is
// of its own run's, and has the name that it asks for.
func TestImagesOfOneName(t *testing.T) {
	like := events.Container{Repository: "example.com:5000/" + strings.ToLower(rand.Text()[:8]), Tag: "v1"}
	first, second := engine(t), engine(t)
	if made, err := first.image(t.Context(), like); err != nil || made.ref != like.Repository+":v1" {
		t.Fatalf("the first image is %q, %v", made.ref, err)
	}
	type answer struct {
		image image
		err   error
	}
	answers := make(chan answer)
	go func() {
		made, err := second.image(t.Context(), like)
		answers <- answer{made, err}
	}()
	select {
	case a := <-answers:
		t.Errorf("a second image was made beside the first: %q, %v", a.image.ref, a.err)
		return
	case <-time.After(100 * time.Millisecond):
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if a := <-answers; a.err != nil || a.image.ref != like.Repository+":v1" {
		t.Errorf("the second image is %q, %v", a.image.ref, a.err)
	}

	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := engine(t).image(ended, like); err == nil {
		t.Error("a third image was made beside the second")
	}
}

// A name that is an image's of the user's stays that one's.
func TestImageOfTheUsers(t *testing.T) {
	e := engine(t)
	made, err := e.image(t.Context(), events.Container{})
	if err != nil {
		t.Fatal(err)
	}
	name := "example.com:5000/" + strings.ToLower(rand.Text()[:8])
	other := &Engine{cli: e.cli, running: e.running} // makes images without a label
	if err := other.copyImage(t.Context(), image{ref: made.ref, executable: made.executable}, name+":v1"); err != nil {
		t.Fatal(err)
	}
	defer e.removeImages(context.Background(), []string{name + ":v1"})
	got, err := e.image(t.Context(), events.Container{Repository: name, Tag: "v1"})
	if err != nil || !strings.HasPrefix(got.ref, name+":falcotest-") {
		t.Errorf("the image is %q, %v; want one of another tag", got.ref, err)
	}
}
