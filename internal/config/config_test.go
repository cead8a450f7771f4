// SPDX-License-Identifier: Apache-2.0

package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestOverride(t *testing.T) {
	d := Timeout.Default
	Timeout.Override(&d)
	if d != 10*time.Second {
		t.Errorf("nothing set it, and it is %s", d)
	}
	for name, value := range map[string]string{
		Timeout.Variable: "3s", Actions.Variable: "a,b", FalcoPlugins.Variable: " a  b\n c ", Hermetic.Variable: "false", Keep.Variable: "TRUE",
		Retries.Variable: "", MinCorrelation.Variable: "Process",
	} {
		t.Setenv(name, value)
	}
	Timeout.Override(&d)
	actions := []string{"c"}
	Actions.Override(&actions)
	got := []any{d, actions, FalcoPlugins.Get(), Hermetic.Get(), Keep.Get(), Retries.Get(), MinCorrelation.Get()}
	want := []any{3 * time.Second, []string{"a", "b"}, []string{"a", "b", "c"}, false, true, 2, "process"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := Check(); err != nil {
		t.Error(err)
	}
}

func TestCheck(t *testing.T) {
	t.Setenv(EnvID, "ft")
	t.Setenv(EnvMounts+"_STATE", "1")
	if err := Check(); err != nil {
		t.Errorf("in a process of an action: %v", err)
	}
	for _, c := range []struct{ name, value, want string }{
		{"FALCOTEST_TIMEOUT", "soon", `FALCOTEST_TIMEOUT="soon": want a duration such as 20s`},
		{"FALCOTEST_TIMEOUT", "-1s", "want a duration such as 20s"},
		{"FALCOTEST_RETRIES", "-1", "want a number from 0"},
		{"FALCOTEST_PARALLEL", "0", "want a number from 1"},
		{"FALCOTEST_STRICT", "perhaps", "want 1 or 0"},
		{"FALCOTEST_KEEP", "yes", "want 1 or 0"},
		{"FALCOTEST_HERMETIC", "no", "want 1 or 0"},
		{"FALCOTEST_CONTAINER", "lxc", "want docker, podman or off"},
		{"FALCOTEST_MIN_CORRELATION", "none", "want environment, process, text or time"},
		{"FALCOTEST_TIMOUT", "3s", "there is no setting FALCOTEST_TIMOUT (did you mean FALCOTEST_TIMEOUT?)"},
		{"FALCOTEST_STRICTLY", "", "there is no setting FALCOTEST_STRICTLY (did you mean FALCOTEST_STRICT?)"},
		{"FALCOTEST_COFFEE", "black", "there is no setting FALCOTEST_COFFEE"},
	} {
		t.Run(c.name+"="+c.value, func(t *testing.T) {
			t.Setenv(c.name, c.value)
			if err := Check(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestValid(t *testing.T) {
	for _, err := range []error{Timeout.Valid(0), Retries.Valid(-1), Parallel.Valid(0), MinCorrelation.Valid("none"), Container.Valid("lxc")} {
		if err == nil {
			t.Error("an option may set what the environment may not")
		}
	}
	for _, err := range []error{Timeout.Valid(1), Retries.Valid(0), MinCorrelation.Valid(""), Container.Valid("off"), Falco.Valid("")} {
		if err != nil {
			t.Error(err)
		}
	}
	if got, want := Parallel.Valid(0).Error(), "WithParallel(0): want a number from 1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Each setting is whole, and is there once.
func TestTable(t *testing.T) {
	seen := make(map[string]bool)
	for _, s := range All() {
		if !strings.HasPrefix(s.Variable, prefix) || s.Option == "" || s.Doc == "" || s.check == nil {
			t.Errorf("%+v is not whole", s)
		}
		if seen[s.Variable] || seen[s.Option] || OfProcess(s.Variable) {
			t.Errorf("%s or %s is there twice", s.Variable, s.Option)
		}
		seen[s.Variable], seen[s.Option] = true, true
	}
	for line := range strings.Lines(Table()) {
		if len(line) > width+1 {
			t.Errorf("a line of %d characters: %s", len(line), line)
		}
	}
}
