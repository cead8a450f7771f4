// SPDX-License-Identifier: Apache-2.0

package session

import (
	"fmt"
	"slices"
	"strings"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/rules"
)

// falcoUnknown is what a real Falco showed not to know of an action.
type falcoUnknown struct {
	alerts []*alert.Alert // its alerts of the action
	// container is what it takes the action's control group for, though the
	// action runs in none: it then looks for the accounts of that container, and
	// knows no names.
	container string
	missing   []string // fields that its alerts have no value for, and others' have
}

// mistakenFor returns the container that a Falco takes an action on a host to be
// in: its alerts say so, or else what the built-in engine, which reads control
// groups as Falco does, made of the same events.
func mistakenFor(alerts []*alert.Alert, events []any) string {
	for _, a := range alerts {
		if id, ok := a.Field("container.id"); ok {
			if id == "host" {
				return ""
			}
			return id
		}
	}
	for _, ev := range events {
		if e, ok := ev.(*event.Event); ok && e.Thread != nil && e.Thread.Process != nil {
			if c := e.Thread.Process.Container; c != nil {
				return c.ID
			}
		}
	}
	return ""
}

// compare finds the fields of the process that the Falco printed without a value,
// where the built-in engine has one for the same rule.
func (u *falcoUnknown) compare(own []*alert.Alert) {
	for _, a := range u.alerts {
		i := slices.IndexFunc(own, func(o *alert.Alert) bool { return o.Rule == a.Rule })
		if i < 0 {
			continue
		}
		for name := range a.Fields {
			if !ofProcess(name) || slices.Contains(u.missing, name) {
				continue
			}
			_, known := a.Field(name)
			if value, has := own[i].Field(name); !known && has && value != event.UnknownText {
				u.missing = append(u.missing, name)
			}
		}
	}
}

// mayNotKnow tells whether a rule asks for what a Falco may not know of an action:
// what hangs on its container, or what its alerts have no value for.
func mayNotKnow(rule *rules.Rule, alerts []*alert.Alert) (may bool) {
	rule.Expr.Walk(func(e *filter.Expr) bool {
		for _, o := range []*filter.Operand{e.Left, e.Right} {
			if o == nil {
				continue
			}
			o.Fields(func(o *filter.Operand) {
				may = may || ofContainer(o.Field) || ofProcess(o.Field) && slices.ContainsFunc(alerts, func(a *alert.Alert) bool {
					_, printed := a.Fields[o.Field]
					_, known := a.Field(o.Field)
					return printed && !known
				})
			})
		}
		return !may
	})
	return may
}

// ofProcess tells whether a field is of the process rather than of what it did:
// with the same process, Falco does not know it for any event.
func ofProcess(field string) bool {
	for _, class := range []string{"proc.", "user.", "group.", "container.", "k8s."} {
		if strings.HasPrefix(field, class) {
			return true
		}
	}
	return false
}

// reason says why that Falco does not know a field, nil when it does.
func (u *falcoUnknown) reason(field string) *filter.Reason {
	switch {
	case u.container != "" && ofContainer(field):
		return &filter.Reason{Text: fmt.Sprintf("this Falco takes the action's control group for that of a container, %s, of which it knows no accounts", u.container)}
	case slices.Contains(u.missing, field):
		return &filter.Reason{Text: "this Falco's alerts of the action say <NA> for it"}
	}
	return nil
}

// ofContainer tells whether a field hangs on the container.
func ofContainer(field string) bool {
	switch field {
	case "user.name", "user.homedir", "user.shell", "user.loginname", "group.name":
		return true
	}
	return strings.HasPrefix(field, "container.") || strings.HasPrefix(field, "k8s.")
}
