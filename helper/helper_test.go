// SPDX-License-Identifier: Apache-2.0

package helper_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/rest"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/helper"
)

func TestMain(m *testing.M) {
	helper.Main()
	os.Exit(m.Run())
}

func init() {
	for name, action := range map[string]events.Action{
		"completes": func(events.Helper) error { return nil },
		"fails":     func(events.Helper) error { return errors.New("boom") },
		"skips":     func(events.Helper) error { return &events.ErrSkipped{Reason: "no reason"} },
		"logs":      func(h events.Helper) error { h.Log().WithField("x", "y").Warn("careful"); return nil },
		"env":       func(h events.Helper) error { h.Log().Info(os.Getenv("HELPER_TEST")); return nil },
		"hangs":     func(events.Helper) error { select {} },
		"sleeps":    func(h events.Helper) error { h.Sleep(time.Millisecond); return nil },
		"prints":    func(events.Helper) error { fmt.Println("printed"); return nil },
		"changes": func(h events.Helper) error {
			dir := os.Getenv("HELPER_TEST")
			if err := helper.CreateFile(h, filepath.Join(dir, "made"), []byte("x"), 0o640); err != nil {
				return err
			}
			if err := helper.CreateFile(h, filepath.Join(dir, "there"), nil, 0o640); !errors.Is(err, os.ErrExist) {
				return fmt.Errorf("creating a file that exists: %v", err)
			}
			err := helper.ModifyFile(h, filepath.Join(dir, "there"), func() error {
				return os.WriteFile(filepath.Join(dir, "there"), []byte("changed"), 0o600)
			})
			if err != nil {
				return err
			}
			if err := helper.Undo(h, helper.RemoveTree(filepath.Join(dir, "tree"))); err != nil {
				return err
			}
			if err := os.MkdirAll(filepath.Join(dir, "tree", "a", "b"), 0o755); err != nil {
				return err
			}
			tmp, err := helper.TempDir(h)
			if err != nil || !strings.Contains(tmp, helper.ID()) || helper.ID() == "" {
				return fmt.Errorf("the temporary directory is %q of %q: %w", tmp, helper.ID(), err)
			}
			for name, want := range map[string]string{"made": "x", "there": "changed"} {
				if got, err := os.ReadFile(filepath.Join(dir, name)); string(got) != want {
					return fmt.Errorf("%s holds %q (%v)", name, got, err)
				}
			}
			return nil
		},
		"kube": func(h events.Helper) error {
			config, err := h.(interface {
				ToRESTConfig() (*rest.Config, error)
			}).ToRESTConfig()
			if err != nil {
				return err
			}
			h.Log().Infof("server %s as %s", config.Host, config.Impersonate.Groups)
			if h.ResourceBuilder() == nil {
				return errors.New("no builder")
			}
			return nil
		},
	} {
		events.RegisterWithName(action, "helpertest."+name)
	}
	events.RegisterWithName(func(events.Helper) error { return nil }, "helpertest.disabled", events.WithDisabled())
	events.RegisterWithName(func(events.Helper) error { return nil }, "helpertest.needs", events.WithNeeds(
		events.Need{Name: "the moon", Probe: func() error { return errors.New("it is far away") }}))
	events.RegisterWithName(func(events.Helper) error { return nil }, "helpertest.container", events.WithContainer(events.Container{}))
}

// run runs an action with a runner, and returns its result and log.
func run(t *testing.T, r helper.Runner, name string) (helper.Result, string) {
	t.Helper()
	var log bytes.Buffer
	r.Log = &logrus.Logger{Out: &log, Level: logrus.InfoLevel, Hooks: logrus.LevelHooks{},
		Formatter: &logrus.TextFormatter{DisableColors: true, DisableTimestamp: true}}
	results := r.Run(t.Context(), "helpertest."+name)
	if len(results) != 1 {
		t.Fatalf("got %d results", len(results))
	}
	return results[0], log.String()
}

func TestRunner(t *testing.T) {
	t.Setenv("FALCOTEST_CONTAINER", "off")
	for _, test := range []struct {
		name    string
		runner  helper.Runner
		outcome helper.Outcome
		reason  string // in the reason or the error
		log     string
	}{
		{"completes", helper.Runner{Sleep: time.Millisecond}, helper.Completed, "", "sleeping for 1ms"},
		{"fails", helper.Runner{}, helper.Failed, "boom", ""},
		{"skips", helper.Runner{}, helper.Skipped, "no reason", ""},
		{"needs", helper.Runner{}, helper.Skipped, "needs the moon: it is far away", ""},
		{"container", helper.Runner{}, helper.Skipped, "turned off by FALCOTEST_CONTAINER=off", ""},
		{"unknown", helper.Runner{}, helper.Failed, `no action "helpertest.unknown" is registered`, ""},
		{"hangs", helper.Runner{Deadline: time.Millisecond}, helper.TimedOut, "did not end within 1ms", ""},
		{"logs", helper.Runner{}, helper.Completed, "", `level=warning msg=careful action=helpertest.logs x=y`},
		{"sleeps", helper.Runner{}, helper.Completed, "", "sleeping for 1ms"},
		{"env", helper.Runner{Env: []string{"HELPER_TEST=value"}}, helper.Completed, "", "msg=value"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.name == "container" && events.Host.Probe() != nil {
				t.Skip("in a container, it runs in place")
			}
			res, log := run(t, test.runner, test.name)
			if text := fmt.Sprint(res.Reason, res.Err); res.Outcome != test.outcome || !strings.Contains(text, test.reason) {
				t.Errorf("got %s (%s, %v)", res.Outcome, res.Reason, res.Err)
			}
			if !strings.Contains(log, test.log) {
				t.Errorf("the log is %s", log)
			}
			if res.Ended.Before(res.Started) || res.ID == "" {
				t.Errorf("got %+v", res)
			}
		})
	}
}

func TestRunnerRefusesUnknownSettings(t *testing.T) {
	t.Setenv("FALCOTEST_CONTAINERS", "off")
	if res, _ := run(t, helper.Runner{}, "completes"); res.Outcome != helper.Failed || !strings.Contains(fmt.Sprint(res.Err), "did you mean FALCOTEST_CONTAINER?") {
		t.Errorf("got %s (%v)", res.Outcome, res.Err)
	}
}

func TestRunnerKeepsTheOutput(t *testing.T) {
	var out bytes.Buffer
	res, _ := run(t, helper.Runner{Output: &out}, "prints")
	if res.Output != "printed\n" || out.String() != "printed\n" {
		t.Errorf("got %q and %q", res.Output, out.String())
	}
}

func TestRunnerStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := helper.Runner{}
	for _, res := range r.Run(ctx, "helpertest.completes", "helpertest.hangs") {
		if res.Outcome != helper.Failed || !errors.Is(res.Err, context.Canceled) {
			t.Errorf("%s: got %s (%v)", res.Action, res.Outcome, res.Err)
		}
	}
}

func TestMatch(t *testing.T) {
	pattern := regexp.MustCompile(`^helpertest\.(completes|disabled|fails)$`)
	r := helper.Runner{}
	if got := r.Match(pattern); !slices.Equal(got, []string{"helpertest.completes", "helpertest.fails"}) {
		t.Errorf("got %q", got)
	}
	r.Disabled = true
	if got := r.Match(pattern); len(got) != 3 {
		t.Errorf("with disabled ones: %q", got)
	}
	if len(r.Match(nil)) != len(events.All()) {
		t.Error("no pattern does not match all")
	}
}

func TestChangesAreUndone(t *testing.T) {
	dir := t.TempDir()
	there := filepath.Join(dir, "there")
	if err := os.WriteFile(there, []byte("before"), 0o604); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(there)
	if err != nil {
		t.Fatal(err)
	}
	if res, log := run(t, helper.Runner{Env: []string{"HELPER_TEST=" + dir}}, "changes"); res.Outcome != helper.Completed {
		t.Fatal(res.Err, log)
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
	after, err := os.Stat(there)
	if err != nil {
		t.Fatal(err)
	}
	content, _ := os.ReadFile(there)
	if string(content) != "before" || after.Mode() != before.Mode() || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("the file holds %q, %v, %v", content, after.Mode(), after.ModTime())
	}
}

func TestKubernetesSettings(t *testing.T) {
	flags := genericclioptions.NewConfigFlags(true)
	server, groups := "https://example.invalid:6443", []string{"one", "two, three"}
	flags.APIServer, flags.ImpersonateGroup = &server, &groups
	user := "someone"
	flags.Impersonate = &user
	res, log := run(t, helper.Runner{Kube: flags, Env: []string{"KUBECONFIG=" + os.DevNull}}, "kube")
	if res.Outcome != helper.Completed || !strings.Contains(log, "server https://example.invalid:6443 as [one two, three]") {
		t.Errorf("got %s (%v)\n%s", res.Outcome, res.Err, log)
	}
}

func TestHelperActions(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the helper actions are tried on Linux")
	}
	r := helper.Runner{}
	for name := range events.ByPackage("helper") {
		t.Run(name, func(t *testing.T) {
			if !events.Disabled(name) {
				t.Error("it is not disabled")
			}
			if res := r.Run(t.Context(), name)[0]; res.Outcome != helper.Completed && res.Outcome != helper.Skipped {
				t.Errorf("got %s (%v)", res.Outcome, res.Err)
			}
		})
	}
	if got := len(events.ByPackage("helper")); got != 7 {
		t.Errorf("there are %d helper actions", got)
	}
}
