// SPDX-License-Identifier: Apache-2.0

package falcotest_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/falcotest"
)

func init() {
	for name, action := range map[string]events.Action{
		"Nothing":       func(events.Helper) error { return nil },
		"SpawnsNothing": func(h events.Helper) error { return h.SpawnAs("nothing", "own.Nothing") },
		"FileTouched":   func(events.Helper) error { _, err := os.ReadFile("/etc/hostname"); return err },
		"SpawnsReader":  func(h events.Helper) error { return h.SpawnAs("reader", "own.FileTouched") },
		"CleansUp": func(h events.Helper) error {
			h.Cleanup(func() { os.ReadFile("/etc/hostname") })
			return nil
		},
	} {
		events.RegisterWithName(action, "own."+name)
	}
}

// TestOwnDoing tells what the framework does from what an action does: by the
// built-in engine's marks, and by time with the Falco that FALCOTEST_REAL_FALCO
// names.
func TestOwnDoing(t *testing.T) {
	t.Run("builtin", func(t *testing.T) { ownDoing(t, "builtin:") })
	t.Run("falco", func(t *testing.T) {
		path := os.Getenv("FALCOTEST_REAL_FALCO")
		if path == "" || os.Getuid() != 0 {
			t.Skip("FALCOTEST_REAL_FALCO names no Falco to test with, or this is not root, who may start it")
		}
		ownDoing(t, "exec://"+path)
	})
}

func ownDoing(t *testing.T, judge string) {
	rules := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(rules, []byte(`
- rule: Program started
  desc: The process of an action is executed, or one of SpawnAs.
  condition: evt.type in (execve, execveat) and proc.env[FALCOTEST_ID] exists
  output: started (command=%proc.cmdline)
  priority: INFO
- rule: File touched
  desc: A process of an action touches files.
  condition: >
    evt.type in (open, openat, mkdir, mkdirat, link, linkat, unlink, unlinkat, chmod, fchmodat, symlink, symlinkat)
    and proc.env[FALCOTEST_ID] exists
  output: touched (args=%evt.args command=%proc.cmdline)
  priority: INFO
`), 0o644); err != nil {
		t.Fatal(err)
	}
	s := falcotest.Start(t, falcotest.WithRules(rules), falcotest.WithFalco(judge))
	for action, want := range map[string][]string{
		"own.Nothing":       nil,
		"own.SpawnsNothing": {"Program started"},
		"own.FileTouched":   {"File touched"},
		"own.SpawnsReader":  {"Program started", "File touched"},
		"own.CleansUp":      nil,
	} {
		t.Run(action, func(t *testing.T) {
			var got []string
			for _, a := range s.Trigger(t, action) {
				got = append(got, a.Rule)
				t.Log(a.Output)
			}
			if !slices.Equal(got, want) {
				t.Errorf("these rules fired: %q, want %q", got, want)
			}
		})
	}
}
