// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/source"
)

// sentinelPath begins, in a sentinel's alert, what it asked for; the nonce follows.
const sentinelPath = "/" + source.SentinelName

// ruleOf is the name of the rule of a source's sentinel.
func ruleOf(name string) string {
	if s := source.ByName(name); s != nil {
		return s.Sentinel.Rule
	}
	return ""
}

// local tells whether the time of an alert's event is that of its host's kernel.
func local(a *alert.Alert) bool {
	s := source.ByName(a.Source)
	return s != nil && s.Local
}

// Sentinel ends the wait for the alerts of one source.
type Sentinel struct {
	// Trigger does something that the judge surely answers with an alert of the
	// source's sentinel rule that has the nonce in its output or fields.
	Trigger func(ctx context.Context, nonce string) error
	// Delay is how long to wait for the action's own alerts first, where each
	// event costs the judge time. Default: not at all.
	Delay time.Duration
	// Lossless says that no event of the source is ever lost, so that it would
	// help nobody to trigger it again.
	Lossless bool
}

// SentinelAlert is the alert that a judge in this process publishes as a
// sentinel.
func SentinelAlert(nonce, hostname string) *alert.Alert {
	return &alert.Alert{
		Time:     time.Now(),
		Rule:     ruleOf(source.Default),
		Priority: alert.Debug,
		Source:   source.Default,
		Output:   "falcotest sentinel (path=" + sentinelPath + nonce + ")",
		Fields:   map[string]any{"evt.arg.name": sentinelPath + nonce},
		Hostname: hostname,
		Tags:     []string{"falcotest"},
	}
}

// nonceOf returns the nonce of a sentinel's alert, or "".
func nonceOf(a *alert.Alert) string {
	if !source.IsSentinel(a.Rule) {
		return ""
	}
	texts := []string{a.Output}
	for name := range a.Fields {
		if v, ok := a.Field(name); ok {
			texts = append(texts, v)
		}
	}
	for _, t := range texts {
		if i := strings.Index(t, sentinelPath); i >= 0 {
			n := t[i+len(sentinelPath):]
			for j := range len(n) {
				if c := n[j]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
					return n[:j]
				}
			}
			return n
		}
	}
	return ""
}

func newNonce() string { return strings.ToLower(rand.Text()) }
