// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/falcotest"
	"github.com/falcotest/go-falcotest/internal/event"
)

// noActions are actions that do nothing, each on the host and in the two kinds of
// container.
var noActions = map[string]events.Action{
	"Nothing":      nothing,
	"Logs":         func(h events.Helper) error { h.Log().Info("nothing is done"); return nil },
	"SpawnsOne":    func(h events.Helper) error { return h.SpawnAs("nothing", "nothing.Nothing") },
	"SpawnsLinked": func(h events.Helper) error { return h.SpawnAsWithSymlink("nothing", "nothing.Nothing") },
	"CleansUp": func(h events.Helper) error {
		h.Cleanup(func() {
			os.WriteFile(filepath.Join(os.TempDir(), "file"), nil, 0o755)
			os.Chmod(filepath.Join(os.TempDir(), "file"), 0o4755)
		})
		return nil
	},
}

var nothingTimes = flag.Int("nothing", 4, "how often TestNothing does nothing in each way")

func nothing(events.Helper) error { return nil }

// nothingPlaces are where they are done.
var nothingPlaces = map[string][]events.Option{
	"":               nil,
	"InContainer":    {events.WithContainer(events.Container{})},
	"WithPrivileges": {events.WithContainer(events.Container{Privileged: true})},
}

func init() {
	for name, action := range noActions {
		for place, opts := range nothingPlaces {
			events.RegisterWithName(action, "nothing."+name+place, append(opts, events.WithDisabled())...)
		}
	}
}

// spawnedTypes are the events of SpawnAs that are the action's, since a program
// that is executed under some name is what many rules are about.
var spawnedTypes = []string{"execve"}

// TestNothing does nothing in the ways that there are, against a rule for each
// type of event and against the rules of the set: nothing of what the framework
// does may make one fire. A real Falco is given those of the set alone: it sees
// all that Go's runtime does.
func TestNothing(t *testing.T) { eachSet(t, nothingFires) }

func nothingFires(t *testing.T, set ruleSet) {
	var more []string
	if os.Getenv("FALCOTEST_FALCO") == "" {
		more = append(more, everyType(t))
	}
	times := *nothingTimes
	if testing.Short() {
		times = min(times, 2)
	}
	s := falcotest.Start(t, set.option(more...), falcotest.WithDisabledActions())
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	limit := make(chan struct{}, 8)
	for name := range events.ByPackage("nothing") {
		for range times {
			wg.Go(func() {
				limit <- struct{}{}
				defer func() { <-limit }()
				r := s.Do(ctx, name)
				switch r.Outcome {
				case falcotest.TriggerFailed, falcotest.Inconclusive:
					t.Errorf("%s: %s: %s", name, r.Outcome, r.Reason)
				}
				for _, a := range r.Alerts {
					typ, generated := strings.CutPrefix(a.Rule, "Any ")
					if generated && strings.HasPrefix(name, "nothing.Spawns") && slices.Contains(spawnedTypes, typ) {
						continue
					}
					t.Errorf("%s: the rule %q fired: %s", name, a.Rule, a.Output)
				}
			})
		}
	}
	wg.Wait()
}

// everyType is a file with a rule for each type of event.
func everyType(t *testing.T) string {
	every := filepath.Join(t.TempDir(), "every_type.yaml")
	var b strings.Builder
	for typ := event.None + 1; typ < event.NumTypes; typ++ {
		fmt.Fprintf(&b, "- rule: Any %[1]s\n  desc: Any %[1]s\n  condition: evt.type = %[1]s\n  output: any (args=%%evt.args fd=%%fd.name thread=%%thread.tid command=%%proc.cmdline)\n  priority: DEBUG\n", typ)
	}
	if err := os.WriteFile(every, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return every
}
