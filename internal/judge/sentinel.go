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

// SentinelRule is the rule whose alerts are sentinels: signs that everything
// that happened before has been judged.
const SentinelRule = "Falcotest Sentinel"

// sentinelPath is what a sentinel opens, with its nonce at the end. The file
// does not exist.
const sentinelPath = "/falcotest-sentinel-"

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

// Sentinel does something that the judge surely answers with an alert of
// [SentinelRule] that has the nonce in its output or fields.
type Sentinel func(ctx context.Context, nonce string) error

// OpenSentinel is the [Sentinel] of system calls, where the rule of
// [SentinelYAML] is loaded: it tries to open a file that does not exist.
func OpenSentinel(_ context.Context, nonce string) error {
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

// nonceOf returns the nonce of a sentinel's alert, or "".
func nonceOf(a *alert.Alert) string {
	if a.Rule != SentinelRule {
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
