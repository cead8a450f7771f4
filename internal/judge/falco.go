// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/falcotest/go-falcotest/internal/falco"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/source"
	"github.com/falcotest/go-falcotest/internal/verdict"
)

// FalcoName says which Falco judges, and by which way its alerts come.
func FalcoName(version, address string) string {
	if version == "" {
		return "the Falco at " + address
	}
	return fmt.Sprintf("Falco %s at %s", version, address)
}

// FalcoOptions are those of a Falco that is started and judges the rules under test.
func (b *Brief) FalcoOptions(path string) (falco.Options, error) {
	opts := falco.Options{
		Path: path, EnableAll: b.enablesDisabled(), Fields: plan.Fields(b.Plan.Actions), Engine: b.Settings.Exec.Engine, Options: b.Settings.Exec.Options,
	}
	var err error
	if opts.Rules, err = absolute(b.Plan.Files); err != nil {
		return opts, err
	}
	if opts.ExtraRules, err = absolute(b.Settings.Exec.Rules); err != nil {
		return opts, err
	}
	for _, text := range b.Settings.Exec.Plugins {
		p, err := falco.ParsePlugin(text)
		if err != nil {
			return opts, err
		}
		opts.Plugins = append(opts.Plugins, p)
	}
	return opts, nil
}

// enablesDisabled tells whether any rule that its file disables is asked for.
// With rule_matching: all, further rules do not disturb those under test.
func (b *Brief) enablesDisabled() bool {
	return slices.ContainsFunc(b.Plan.Rules.Rules, func(r *rules.Rule) bool { return !r.Enabled && b.Plan.Enables(r) })
}

// absolute makes paths independent of the folder that a Falco runs in.
func absolute(paths []string) ([]string, error) {
	var out []string
	for _, p := range paths {
		a, err := filepath.Abs(p)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// OfDriver tells whether a rule is for events of Falco's driver.
func OfDriver(r *rules.Rule) bool { return source.ByName(r.Source).Plugin == nil }

// Sentinels are those of a Falco that runs. One that takes a request to another machine
// is not the first thing to do, since each event may keep a Falco busy for long: see
// Exec.Plugins of package falcotest.
func (b *Brief) Sentinels(delay time.Duration) map[string]verdict.Sentinel {
	list := map[string]verdict.Sentinel{}
	for _, src := range source.All() {
		if live := b.Streams[src.Name]; live != nil {
			list[src.Name] = verdict.Sentinel{Trigger: live.Trigger, Delay: delay, Lossless: true}
		} else if src.Sentinel.Trigger != nil {
			list[src.Name] = verdict.Sentinel{Trigger: src.Sentinel.Trigger}
		}
	}
	return list
}

// HostPIDs tells whether this process numbers processes as a Falco on the host
// does: whether it is in the machine's first PID namespace, whose inode number
// the kernel fixes (PROC_PID_INIT_INO). Where there is no /proc it cannot run
// actions anyway.
func HostPIDs() bool {
	ns, err := os.Readlink("/proc/self/ns/pid")
	return err == nil && ns == "pid:[4026531836]"
}
