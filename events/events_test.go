// SPDX-License-Identifier: Apache-2.0

package events_test

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/falcotest/go-falcotest/events"
)

func Plain(events.Helper) error      { return nil }
func unexported(events.Helper) error { return nil }
func generic[T any](events.Helper) error {
	var zero T
	return fmt.Errorf("%v", zero)
}

type receiver struct{}

func (receiver) Method(events.Helper) error { return nil }

func TestRegisterNames(t *testing.T) {
	if diff := cmp.Diff([]string{"events_test.Plain"}, slices.Collect(maps.Keys(events.Register(Plain)))); diff != "" {
		t.Error(diff)
	}
	if _, ok := events.Register(unexported)["events_test.unexported"]; !ok {
		t.Error("an unexported function is not registered by its name")
	}
	if got := events.RegisterWithName(Plain, "my.Name", events.WithDisabled()); len(got) != 1 || got["my.Name"] == nil {
		t.Errorf("got %v", got)
	}
	if !events.Disabled("my.Name") || events.Disabled("events_test.Plain") || events.Disabled("no.Such") {
		t.Error("Disabled is wrong")
	}
}

var packageClosure = func(events.Helper) error { return nil }

func TestRegisterPanics(t *testing.T) {
	events.RegisterWithName(Plain, "panics.Taken")
	for name, test := range map[string]struct {
		register func()
		want     string
	}{
		"nil":             {func() { events.Register(nil) }, "nil action"},
		"nil with a name": {func() { events.RegisterWithName(nil, "panics.Nil") }, "nil"},
		"empty name":      {func() { events.RegisterWithName(Plain, "") }, "name is empty"},
		"duplicate":       {func() { events.RegisterWithName(Plain, "panics.Taken") }, "taken"},
		"closure":         {func() { events.Register(func(events.Helper) error { return nil }) }, "use RegisterWithName"},
		"package closure": {func() { events.Register(packageClosure) }, "use RegisterWithName"},
		"method value":    {func() { events.Register(receiver{}.Method) }, "use RegisterWithName"},
		"generic":         {func() { events.Register(generic[int]) }, "use RegisterWithName"},
		"capability":      {func() { events.Capability("CAP_NONE") }, "no capability"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "capability" && runtime.GOOS != "linux" {
				t.Skip("capabilities are known on Linux only")
			}
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, test.want) {
					t.Errorf("it panicked with %q, which lacks %q", got, test.want)
				}
			}()
			test.register()
			t.Error("it did not panic")
		})
	}
}

func TestSelection(t *testing.T) {
	for _, name := range []string{"sel.A", "sel.B", "sel.sub.C", "selection.D", "Plainname"} {
		events.RegisterWithName(Plain, name)
	}
	names := func(m map[string]events.Action) []string { return slices.Sorted(maps.Keys(m)) }
	if diff := cmp.Diff([]string{"sel.A", "sel.B"}, names(events.ByPackage("sel"))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"sel.A", "sel.B", "sel.sub.C"}, names(events.ByRegexp(regexp.MustCompile(`^sel\.`)))); diff != "" {
		t.Error(diff)
	}
	if got := events.ByPackage(""); len(got) != 0 {
		t.Errorf("of no package: %v", names(got))
	}
}

func TestMapsAreCopies(t *testing.T) {
	events.RegisterWithName(Plain, "copies.A")
	for _, get := range []func() map[string]events.Action{
		events.All,
		func() map[string]events.Action { return events.ByPackage("copies") },
		func() map[string]events.Action { return events.ByRegexp(regexp.MustCompile("copies")) },
	} {
		clear(get())
		if get()["copies.A"] == nil {
			t.Error("clearing the map cleared the registry")
		}
	}
	events.RegisterWithName(Plain, "copies.B", events.WithNeeds(events.Root, events.Pty))
	events.Needs("copies.B")[0].Name = "changed"
	if got := events.Needs("copies.B"); len(got) != 2 || got[0].Name != "root" || got[1].Name != "pty" {
		t.Errorf("got %v", got)
	}
}

func TestOptions(t *testing.T) {
	like := events.Container{Privileged: true}
	events.RegisterWithName(Plain, "options.All", events.WithDisabled(), nil, events.WithContainer(like),
		events.WithHostMounts("reason"), events.WithDuration(time.Second))
	got, ok := events.ContainerOf("options.All")
	if diff := cmp.Diff(like, got); diff != "" || !ok {
		t.Error(diff, ok)
	}
	if events.HostMounts("options.All") != "reason" || events.Duration("options.All") != time.Second {
		t.Error("an option was lost")
	}
	if _, ok := events.ContainerOf("no.Such"); ok || events.HostMounts("no.Such") != "" || len(events.Needs("no.Such")) != 0 {
		t.Error("an unknown action has options")
	}
}

func TestConcurrency(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			name := fmt.Sprintf("concurrent.A%d", i)
			events.RegisterWithName(Plain, name)
			if events.All()[name] == nil || events.Disabled(name) {
				t.Errorf("%s is lost", name)
			}
			events.ByPackage("concurrent")
		})
	}
	wg.Wait()
	if got := len(events.ByPackage("concurrent")); got != 20 {
		t.Errorf("%d of 20 are registered", got)
	}
}

func TestMatchRule(t *testing.T) {
	for _, test := range []struct {
		action, rule string
		want         bool
	}{
		{"syscall.ReadEnvironmentVariableFromProcFiles", "Read environment variable from /proc files", true},
		{"syscall.WriteBelowEtc", "Write below etc", true},
		{"syscall.WriteBelowEtc", "WRITE_BELOW-ETC", true},
		{"WriteBelowEtc", "Write below etc", true},
		{"a.b.WriteBelowEtc", "Write below etc", true},
		{"syscall.WriteBelowEtc", "Write below", false},
		{"Write.BelowEtc", "Write below etc", false},
		{"", "", false},
		{"syscall.", "", false},
		{"syscall.", "...", false},
		{"syscall.X", "", false},
		{"", "X", false},
		{"syscall.Über", "ber", true},
	} {
		if got := events.MatchRule(test.action, test.rule); got != test.want {
			t.Errorf("MatchRule(%q, %q) = %v", test.action, test.rule, got)
		}
	}
}

func FuzzMatchRule(f *testing.F) {
	f.Add("syscall.WriteBelowEtc", "Write below etc")
	f.Add("x.", "é")
	f.Fuzz(func(t *testing.T, name, rule string) {
		got := events.MatchRule(name, rule)
		letters := func(s string) string {
			return strings.ToLower(strings.Map(func(r rune) rune {
				if r < 128 && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
					return r
				}
				return -1
			}, s))
		}
		last := name[strings.LastIndex(name, ".")+1:]
		if want := letters(last) != "" && letters(last) == letters(rule); got != want {
			t.Errorf("MatchRule(%q, %q) = %v", name, rule, got)
		}
		if got && !events.MatchRule("other."+last, strings.ToUpper(rule)) && strings.ToUpper(letters(rule)) == letters(rule) {
			t.Errorf("the case or the package matters: %q, %q", name, rule)
		}
	})
}

func TestNeeds(t *testing.T) {
	for _, need := range []events.Need{
		events.Root, events.Host, events.Pty, events.UserNamespaces, events.Overlay, events.BPF, events.Userfaultfd,
		events.IOUring, events.Memfd, events.Modules, events.NetworkNamespaces, events.Cluster, events.Program("go"),
	} {
		if need.Name == "" || need.Hint == "" || need.Probe == nil {
			t.Errorf("%+v is not complete", need)
		}
		t.Logf("%s: %v", need.Name, need.Probe())
	}
	if err := events.Program("no-such-program-anywhere").Probe(); err == nil {
		t.Error("a program is found that does not exist")
	}
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	t.Setenv("KUBECONFIG", "/nonexistent/config")
	if err := events.Cluster.Probe(); err == nil {
		t.Error("a cluster is found that does not exist")
	}
	if runtime.GOOS == "linux" {
		dir := t.TempDir()
		for path, may := range map[string]bool{dir: true, filepath.Join(dir, "to", "be", "made"): true, "/dev/null/in": false} {
			if err := events.WriteIn(path).Probe(); (err == nil) != may {
				t.Errorf("writing in %s: %v, want it possible: %t", path, err, may)
			}
		}
		// Root has what it needs to be root for, unless it is confined.
		if err := events.Capability("CAP_SETUID").Probe(); events.Root.Probe() != nil && err == nil {
			t.Log("an ordinary user with CAP_SETUID")
		}
	}
}

func TestContainerNeeds(t *testing.T) {
	events.RegisterWithName(Plain, "containerneeds.Ordinary", events.WithContainer(events.Container{}))
	events.RegisterWithName(Plain, "containerneeds.Capable", events.WithContainer(events.Container{CapAdd: []string{"NET_ADMIN"}}))
	events.RegisterWithName(Plain, "containerneeds.Privileged", events.WithContainer(events.Container{Privileged: true}))
	for name, want := range map[string][]string{
		"Ordinary": nil, "Capable": {"CAP_NET_ADMIN"}, "Privileged": {"a privileged container"},
	} {
		var got []string
		for _, need := range events.ContainerNeeds("containerneeds." + name) {
			got = append(got, need.Name)
			if need.Hint == "" || need.Probe == nil {
				t.Errorf("%+v is not complete", need)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestErrSkipped(t *testing.T) {
	err := fmt.Errorf("wrapped: %w", &events.ErrSkipped{Reason: "needs root"})
	var skip *events.ErrSkipped
	if !errors.As(err, &skip) || skip.Reason != "needs root" || skip.Error() != "skipped: needs root" {
		t.Errorf("got %v", err)
	}
}
