// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/judge"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/result"
	"github.com/falcotest/go-falcotest/internal/scenario"
)

// containerUnknown tells whether a real Falco judged an action in a container of
// which it did not know enough: more than the id, or the names of its users. It
// asks the container's engine while the container runs already, so that fields such as
// container.privileged come some time after the first events; and it reads the
// users from a process of the container, if one of another user than root still
// lives when it comes to its events. It makes the result inconclusive.
func (s *Session) containerUnknown(a *plan.Action, r *result.Result, w judge.Watcher) bool {
	if !a.Made() || w != nil {
		return false
	}
	fields := []string{"container.name"}
	if sc := a.Scenario; sc != nil && slices.ContainsFunc(sc.Processes, func(p scenario.Process) bool { return p.User != "" }) {
		fields = append(fields, "user.name")
	}
	for _, fired := range r.Alerts {
		for _, name := range fields {
			_, printed := fired.Fields[name]
			if _, known := fired.Field(name); !printed || known {
				continue
			}
			r.Outcome = result.Inconclusive
			r.Reason = "Falco did not know the action's container yet: its alerts say <NA> for " + name
			r.Hint = reachSocket
			if name == "user.name" {
				r.Hint = "see that Falco may read /proc/1/root, and /proc/PID/root/etc/passwd of the container's processes"
				if _, err := os.Stat("/proc/1/root/"); err != nil && os.Geteuid() == 0 {
					r.Outcome, r.Lasting = result.Skipped, true
					r.Reason = fmt.Sprintf("Falco names no users of containers here: it looks at /proc/1/root for that, which root may not do on this machine: %v", err)
				}
			}
			return true
		}
	}
	// No alert says what it knew; later it knows, so that the last attempt counts.
	late := lateField(a)
	if late == "" || r.Attempts > s.settings.Retries || knowsContainer(r) {
		return false
	}
	r.Outcome = result.Inconclusive
	r.Reason = fmt.Sprintf("the rule asks for %s, and nothing shows that Falco knew the action's container already", late)
	return true
}

const reachSocket = "see that Falco's container plugin may reach the engine's socket"

// knowsContainer tells whether an alert shows that the Falco knew its container.
func knowsContainer(r *result.Result) bool {
	return slices.ContainsFunc(r.Alerts, func(fired *alert.Alert) bool { _, known := fired.Field("container.name"); return known })
}

// containerNeverKnown makes the miss of a rule inconclusive that fired when the built-in
// engine watched: the rule asks for more of a container than its id, and in no
// attempt there was a sign that the Falco knew that.
func containerNeverKnown(a *plan.Action, r *result.Result) bool {
	late := lateField(a)
	if !a.Made() || late == "" || knowsContainer(r) {
		return false
	}
	r.Outcome, r.Lasting, r.Why, r.WhyNote = result.Inconclusive, true, nil, ""
	r.Reason = fmt.Sprintf("the built-in engine ran the action once more, and there the rule did fire; it asks for %s, and nothing shows that this Falco ever knew the action's container", late)
	r.Hint = reachSocket
	return true
}

// lateField is a field that a rule asks for and that a Falco learns of a container's
// engine, "" for none.
func lateField(a *plan.Action) string {
	if a.Rule == nil {
		return ""
	}
	for _, name := range a.Rule.Fields {
		if strings.HasPrefix(name, "container.") && name != "container.id" && name != "container.full_id" || strings.HasPrefix(name, "k8s.") {
			return name
		}
	}
	return ""
}

// settle keeps an action in a container at its gate for a while when an earlier
// attempt was over before Falco knew the container. Falco gives no sign of when
// it does.
func (s *Session) settle(ctx context.Context, a *plan.Action, attempt int) {
	if !a.Made() || attempt < 2 {
		return
	}
	t := time.NewTimer(time.Duration(attempt-1) * time.Second)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
