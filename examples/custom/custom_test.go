// SPDX-License-Identifier: Apache-2.0

// Package custom_test has an action of its own for a rule of its own, and
// expectations of its own: that a rule stays silent, and what its alert prints.
package custom_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/falcotest"
)

func TestMain(m *testing.M) { falcotest.Main(m) }

var (
	_ = events.Register(WriteCompanySecret)
	_ = events.RegisterWithName(readCompanySecret, "custom.ReadsNothingNew", events.WithDisabled())
)

// WriteCompanySecret writes what the rule "Write company secret" watches.
func WriteCompanySecret(h events.Helper) error {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	h.Cleanup(func() { os.RemoveAll(dir) })
	return os.WriteFile(filepath.Join(dir, "company.secret"), []byte("x"), 0o600)
}

// readCompanySecret reads it, which the rule does not mind.
func readCompanySecret(h events.Helper) error {
	if _, err := os.ReadFile(filepath.Join(os.TempDir(), "company.secret")); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

// TestRules is the usual test: each rule that has an action fires.
func TestRules(t *testing.T) {
	falcotest.Run(t, falcotest.WithRules("rules/*.yaml"))
}

// TestAlert looks into the alert.
func TestAlert(t *testing.T) {
	s := falcotest.Start(t, falcotest.WithRules("rules/*.yaml"))
	alerts := s.Trigger(t, "custom_test.WriteCompanySecret")
	if len(alerts) != 1 {
		t.Fatalf("got %d alerts, want 1", len(alerts))
	}
	if file, _ := alerts[0].Field("fd.filename"); file != "company.secret" {
		t.Errorf("the alert names the file %q", file)
	}
}

// TestSilence makes sure that the rule leaves alone what it should.
func TestSilence(t *testing.T) {
	s := falcotest.Start(t, falcotest.WithRules("rules/*.yaml"))
	for _, a := range s.Trigger(t, "custom.ReadsNothingNew") {
		t.Errorf("unexpected alert of the rule %q: %s", a.Rule, a.Output)
	}
}
