// SPDX-License-Identifier: Apache-2.0

package helper

import (
	"context"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/journal"
	"github.com/falcotest/go-falcotest/internal/limits"
	"github.com/falcotest/go-falcotest/internal/run"
)

// Outcome is how an action ended.
type Outcome = child.Outcome

// The outcomes.
const (
	Completed = child.Completed // the action did all it set out to do
	Skipped   = child.Skipped   // it cannot work here
	Failed    = child.Failed    // it returned an error, panicked or crashed
	TimedOut  = child.TimedOut  // it was stopped at its deadline
)

// Result is how an action ended.
type Result struct {
	Action  string
	ID      string // of this run: FALCOTEST_ID of its processes
	Outcome Outcome
	Reason  string    // why it was skipped
	Err     error     // why it failed or timed out; on %+v a panic has its stack
	Started time.Time // when the action, not its process, started
	Ended   time.Time // when it had ended, before its cleanups
	PIDs    []int     // its processes, as far as known
	Output  string    // the end of what it wrote to standard output and error
}

// DefaultDeadline is how long an action may run by default.
const DefaultDeadline = time.Minute

// Runner runs actions, each in a process of its own. The zero value is ready
// to use. Its fields must not be changed while it runs; its methods may be
// called from several goroutines.
//
// On Linux, actions run with folders that vanish with them, so that a write to
// /etc is not seen by anyone else, where the kernel allows it and the action
// does not declare [events.WithHostMounts]. The environment variable
// FALCOTEST_HERMETIC=0 turns it off. Actions that need a container run in one
// that is made for them, by the engine that FALCOTEST_CONTAINER names (docker,
// podman; off for none), or in place when this program is in one.
type Runner struct {
	// Log receives what actions log. Nil means logrus's standard logger.
	Log *logrus.Logger
	// Sleep is how long to wait before each action.
	Sleep time.Duration
	// Kube are the settings for Kubernetes, such as namespace and kubeconfig,
	// from this program's own flags. Nil means kubectl's defaults.
	Kube *genericclioptions.ConfigFlags
	// Disabled runs disabled actions too, when they are not named one by one.
	Disabled bool
	// Env is added to the environment of actions, as NAME=value.
	Env []string
	// Deadline is how long each action may run. Zero means DefaultDeadline,
	// less than zero that only the context ends it.
	Deadline time.Duration
	// Grace is how long the cleanups of an action may take when it is stopped,
	// before it is killed. Zero means 3 seconds.
	Grace time.Duration
	// Output receives what actions write to standard output and error. Nil
	// means that only the end of it is kept, in the result.
	Output io.Writer
}

// Match returns the names of the registered actions that match the pattern, in
// alphabetical order, without disabled ones unless r.Disabled, and without near
// misses, which mean nothing without a rule. A nil pattern matches all.
func (r *Runner) Match(pattern *regexp.Regexp) []string {
	all := events.All()
	if pattern != nil {
		all = events.ByRegexp(pattern)
	}
	maps.DeleteFunc(all, func(name string, _ events.Action) bool {
		of, _ := events.NearMissOf(name)
		return of != "" || events.Disabled(name) && !r.Disabled
	})
	return slices.Sorted(maps.Keys(all))
}

// Run runs the named actions one after another and returns a result for each.
// When the context ends, the running action is stopped, its cleanups run, and
// the rest fail without being started. What runs before this one left behind
// because they were killed is undone first, and logged.
func (r *Runner) Run(ctx context.Context, names ...string) []Result {
	Recover(r.logger())
	enough, err := child.Reap()
	if err != nil {
		r.logger().Warnf("a later run will clean up after this one, should it be killed: %v", err)
		enough = func() {}
	}
	defer enough()
	containers := run.NewContainers(config.Container.Get(), "", r.logger().Warnf)
	defer func() {
		if err := containers.Close(); err != nil {
			r.logger().Error(err)
		}
	}()
	results := make([]Result, 0, len(names))
	if _, err := limits.Check(1); err != nil {
		r.logger().Errorf("running no action: %v", err)
		for _, name := range names {
			results = append(results, Result{Action: name, Outcome: Failed, Err: err, Started: time.Now(), Ended: time.Now()})
		}
		return results
	}
	for _, name := range names {
		results = append(results, r.run(ctx, containers, name))
	}
	return results
}

// Recover undoes what earlier runs of this user's left on this machine because
// they were killed, and logs what it does. [Runner.Run] calls it.
func Recover(log *logrus.Logger) {
	report, err := journal.Recover("")
	for _, line := range report {
		log.Warn(line)
	}
	if err != nil {
		log.Error(err)
	}
}

func (r *Runner) logger() *logrus.Logger {
	if r.Log != nil {
		return r.Log
	}
	return logrus.StandardLogger()
}

func (r *Runner) run(ctx context.Context, containers *run.Containers, name string) Result {
	res := Result{Action: name, ID: child.NewID(), Started: time.Now()}
	fail := func(err error) Result {
		res.Outcome, res.Err, res.Ended = Failed, err, time.Now()
		return res
	}
	if _, ok := events.All()[name]; !ok {
		return fail(fmt.Errorf("no action %q is registered", name))
	}
	action := run.Registered(name)
	given := func(need events.Need) bool { return need.Name == events.Cluster.Name && r.Kube != nil }
	if need, err := run.Unmet(action.Requires(), given); err != nil {
		res.Outcome, res.Reason, res.Ended = Skipped, fmt.Sprintf("needs %s: %v", need.Name, err), time.Now()
		return res
	}
	if action.Made() {
		if _, err := containers.Reach(ctx); err != nil {
			res.Outcome, res.Reason, res.Ended = Skipped, "needs a container: "+err.Error(), time.Now()
			return res
		}
	}
	if r.Sleep > 0 {
		r.logger().WithField("action", name).Infof("sleeping for %s", r.Sleep)
		timer := time.NewTimer(r.Sleep)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	if err := config.Check(); err != nil {
		return fail(err)
	}
	if err := ctx.Err(); err != nil {
		return fail(fmt.Errorf("the action was not started: %w", context.Cause(ctx)))
	}
	deadline := r.Deadline
	switch {
	case deadline == 0:
		deadline = DefaultDeadline
	case deadline < 0:
		deadline = 0
	}
	runner := run.Runner{
		Containers: containers, Env: r.Env, KubeFlags: kubeFlags(r.Kube), Hermetic: config.Hermetic.Get(),
		Deadline: deadline, Grace: r.Grace, Log: r.log, LogLevel: r.logger().GetLevel(), Output: r.Output,
	}
	ended, err := runner.Run(ctx, &action, res.ID, nil)
	if err != nil {
		return fail(err)
	}
	res.Outcome, res.Err = ended.Outcome, ended.Err
	if ended.Outcome == Skipped {
		res.Reason = ended.Reason
	}
	res.Started, res.Ended, res.PIDs, res.Output = ended.Started, ended.Ended, ended.PIDs, ended.Output
	return res
}

// log hands an action's entry to the logger.
func (r *Runner) log(rec child.Record) {
	level, err := logrus.ParseLevel(rec.Level)
	if err != nil {
		level = logrus.InfoLevel
	}
	// The levels that end a program ended the action, not this one.
	level = max(level, logrus.ErrorLevel)
	entry := r.logger().WithTime(rec.Time)
	for key, value := range rec.Fields {
		entry = entry.WithField(key, value)
	}
	entry.Log(level, rec.Message)
}

// kubeFlags returns the settings as flags, without those that are at their
// defaults.
func kubeFlags(f *genericclioptions.ConfigFlags) []string {
	if f == nil {
		return nil
	}
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.AddFlags(set)
	defaults := pflag.NewFlagSet("", pflag.ContinueOnError)
	genericclioptions.NewConfigFlags(true).AddFlags(defaults)
	var flags []string
	set.VisitAll(func(flag *pflag.Flag) {
		if d := defaults.Lookup(flag.Name); d != nil && d.Value.String() == flag.Value.String() {
			return
		}
		if s, ok := flag.Value.(pflag.SliceValue); ok {
			for _, value := range s.GetSlice() {
				flags = append(flags, "--"+flag.Name+"="+value)
			}
			return
		}
		flags = append(flags, "--"+flag.Name+"="+flag.Value.String())
	})
	return flags
}
