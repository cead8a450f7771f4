// SPDX-License-Identifier: Apache-2.0

package programs_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/falcotest/go-falcotest/internal/kube/programs"
)

func TestVersion(t *testing.T) {
	if v := programs.Version(); !regexp.MustCompile(`^v1\.\d+\.\d+$`).MatchString(v) {
		t.Errorf("version %q", v)
	}
}

// ownCache gives the test a cache of its own.
func ownCache(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"HOME", "XDG_CACHE_HOME", "LocalAppData", "home"} {
		t.Setenv(name, dir)
	}
}

func TestPathIsStable(t *testing.T) {
	ownCache(t)
	a, err := programs.APIServer.Path()
	if err != nil {
		t.Skip(err)
	}
	b, err := programs.APIServer.Path()
	if err != nil || a != b {
		t.Errorf("path %q, then %q, %v", a, b, err)
	}
}

// What is in the cache is not built again.
func TestBuildTakesWhatIsThere(t *testing.T) {
	ownCache(t)
	want, err := programs.APIServer.Path()
	if err != nil {
		t.Skip(err)
	}
	if err := os.MkdirAll(filepath.Dir(want), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(want, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", "")
	got, err := programs.APIServer.Build(context.Background(), &bytes.Buffer{})
	if err != nil || got != want {
		t.Errorf("Build gives %q, %v; want %q", got, err, want)
	}
}

func TestBuildWithoutGo(t *testing.T) {
	ownCache(t)
	t.Setenv("PATH", "")
	_, err := programs.APIServer.Build(context.Background(), &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "building the API server") {
		t.Errorf("error %v", err)
	}
}
