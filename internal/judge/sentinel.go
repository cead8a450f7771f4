// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/falcotest/go-falcotest/internal/alert"
)

// The rules whose alerts are sentinels: signs that everything that happened
// before has been judged. Each source has its own, since it is judged in an
// order of its own.
const (
	SentinelRule      = "Falcotest Sentinel"       // of system calls
	AuditSentinelRule = "Falcotest Audit Sentinel" // of Kubernetes audit events
)

// sentinelRules are their names by source.
var sentinelRules = map[string]string{"syscall": SentinelRule, "k8s_audit": AuditSentinelRule}

// sentinelName is the name of what a sentinel asks for, with its nonce at the
// end. There is no such thing.
const sentinelName = "falcotest-sentinel-"

// sentinelPath is the file that the sentinel of system calls tries to open.
const sentinelPath = "/" + sentinelName

// SentinelYAML is a rules file with the sentinel rule for system calls.
//
// The rule looks at the event's argument, since a failed open has no fd.name.
func SentinelYAML() string {
	return `- rule: ` + SentinelRule + `
  desc: >
    A test has ended: what it did has been judged once this alert comes.
  condition: evt.type in (open, openat, openat2) and evt.arg.name startswith ` + sentinelPath + `
  output: falcotest sentinel (path=%evt.arg.name)
  priority: DEBUG
  source: syscall
  tags: [falcotest]
`
}

// AuditSentinelYAML is a rules file with the sentinel rule for Kubernetes audit
// events.
func AuditSentinelYAML() string {
	return `- rule: ` + AuditSentinelRule + `
  desc: >
    A test has ended: what it asked of the API server has been judged once this
    alert comes.
  condition: ka.verb = get and ka.uri contains /configmaps/` + sentinelName + `
  output: falcotest sentinel (uri=%ka.uri)
  priority: DEBUG
  source: k8s_audit
  tags: [falcotest]
`
}

// AuditSentinelName is the name of the config map, which does not exist, that
// the sentinel of Kubernetes audit events asks for.
func AuditSentinelName(nonce string) string { return sentinelName + nonce }

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

// OpenSentinel is the [Sentinel] of system calls, where the rule of
// [SentinelYAML] is loaded: it tries to open a file that does not exist.
var OpenSentinel = Sentinel{Trigger: openSentinel}

func openSentinel(_ context.Context, nonce string) error {
	f, err := os.Open(sentinelPath + nonce)
	if err == nil {
		f.Close()
		return nil
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("making the sentinel's event: %w", err)
}

// SentinelAlert is the alert that a judge in this process publishes as a
// sentinel.
func SentinelAlert(nonce, hostname string) *alert.Alert {
	return &alert.Alert{
		Time:     time.Now(),
		Rule:     SentinelRule,
		Priority: alert.Debug,
		Source:   "syscall",
		Output:   "falcotest sentinel (path=" + sentinelPath + nonce + ")",
		Fields:   map[string]any{"evt.arg.name": sentinelPath + nonce},
		Hostname: hostname,
		Tags:     []string{"falcotest"},
	}
}

func isSentinel(a *alert.Alert) bool {
	return a.Rule == SentinelRule || a.Rule == AuditSentinelRule
}

// nonceOf returns the nonce of a sentinel's alert, or "".
func nonceOf(a *alert.Alert) string {
	if !isSentinel(a) {
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
