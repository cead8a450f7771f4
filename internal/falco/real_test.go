// SPDX-License-Identifier: Apache-2.0

//go:build linux

package falco

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/falcotest/go-falcotest/internal/correlate"
	"github.com/falcotest/go-falcotest/internal/outputs"
	"github.com/falcotest/go-falcotest/internal/verdict"
)

const catRule = `
- rule: Real Cat
  desc: d
  condition: evt.type in (open, openat, openat2) and evt.arg.name contains falcotest-real
  output: cat (file=%evt.arg.name)
  priority: NOTICE
`

// realFalco is the Falco that tests may start, named by FALCOTEST_REAL_FALCO.
func realFalco(t *testing.T) string {
	path := os.Getenv("FALCOTEST_REAL_FALCO")
	if path == "" {
		t.Skip("FALCOTEST_REAL_FALCO names no Falco to test with")
	}
	if os.Getuid() != 0 {
		t.Skip("starting a Falco needs root")
	}
	return path
}

func TestReal(t *testing.T) {
	t.Run("grpc", func(t *testing.T) { testReal(t, false) })
	t.Run("http", func(t *testing.T) { testReal(t, true) })
}

func testReal(t *testing.T, http bool) {
	path := realFalco(t)
	rules := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(rules, []byte(catRule), 0o600); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	f, err := Start(t.Context(), Options{Path: path, Rules: []string{rules}, http: http, Outputs: outputs.Options{Logf: t.Logf}})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	t.Logf("ready after %v, version %s over %s", time.Since(start), f.Version(), f.Subscription().Version())
	j := verdict.New(f.Subscription(), verdict.Options{Sentinels: f.Sentinels()})
	for _, file := range []string{"/falcotest-real", "/falcotest-other"} {
		id := "ftaaaaaaaaaaaaa" + map[string]string{"/falcotest-real": "a", "/falcotest-other": "b"}[file]
		p := j.Expect(verdict.Expectation{ID: id, Rules: func(r string) bool { return r == "Real Cat" }})
		cmd := exec.Command("cat", file)
		cmd.Env = append(os.Environ(), "FALCOTEST_ID="+id)
		p.Started()
		cmd.Run()
		p.Ended()
		ended := time.Now()
		v, err := p.Wait(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %v, by %v, %v after the end: %s", file, v.Outcome, v.Expected.Strength, time.Since(ended), v.Reason)
		want, strength := verdict.Detected, correlate.Environment
		if file == "/falcotest-other" {
			want, strength = verdict.Missed, correlate.None
		}
		if v.Outcome != want || v.Expected.Strength != strength {
			t.Errorf("%s: got %v by %v, want %v by %v", file, v.Outcome, v.Expected.Strength, want, strength)
		}
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}
