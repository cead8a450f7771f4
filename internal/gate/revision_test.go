// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// repository makes a git repository with two commits on main and one on a branch,
// and returns its folder.
func repository(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skipf("needs git: %v", err)
	}
	dir := t.TempDir()
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	t.Setenv("GIT_CONFIG_SYSTEM", os.DevNull)
	run := func(args ...string) { gitIn(t, dir, args...) }
	write := func(name, text string) {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run("init", "-q", "-b", "main")
	write("rules/a.yaml", "before\n")
	write("rules/odd name ü.yml", "")
	write("go.mod", "module x\n")
	for name, target := range map[string]string{"link": "rules", "rules/link.yaml": "../rules/a.yaml", "rules/out.yaml": "../../out.yaml", "far": "/etc"} {
		if err := os.Symlink(filepath.FromSlash(target), filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			t.Skipf("needs symbolic links: %v", err)
		}
	}
	run("add", ".")
	run("commit", "-q", "-m", "one")
	run("checkout", "-q", "-b", "change")
	write("rules/a.yaml", "after\n")
	run("commit", "-q", "-a", "-m", "two")
	run("checkout", "-q", "main")
	write("rules/a.yaml", "main has gone on\n")
	run("commit", "-q", "-a", "-m", "three")
	run("checkout", "-q", "change")
	return dir
}

func gitIn(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"}, args...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %s: %v\n%s", args, err, out)
	}
}

func TestRevision(t *testing.T) {
	dir := repository(t)
	r, err := FindRevision(t.Context(), filepath.Join(dir, "rules"), "main")
	if err != nil {
		t.Fatal(err)
	}
	to := t.TempDir()
	if err := r.Extract(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	err = filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			b, _ := os.ReadFile(path)
			rel, _ := filepath.Rel(to, path)
			got[filepath.ToSlash(rel)] = string(b)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	// What main has done since does not count.
	want := map[string]string{"rules/a.yaml": "before\n", "rules/odd name ü.yml": "", "link": "", "rules/link.yaml": "before\n"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if got, ok := r.Inside(to, filepath.Join(dir, "rules", "*.yaml")); !ok || got != filepath.Join(to, "rules", "*.yaml") {
		t.Errorf("Inside: %s %t", got, ok)
	}
	if got, ok := r.Inside(to, filepath.Join(dir, "link")); !ok || got != filepath.Join(to, "link") {
		t.Errorf("Inside, of a link: %s %t", got, ok)
	}
	if _, ok := r.Inside(to, filepath.Join(dir, "far", "*.yaml")); ok {
		t.Error("what a link out of the checkout leads to is inside")
	}
	if _, ok := r.Inside(to, filepath.Dir(dir)); ok {
		t.Error("a path outside of the checkout is inside")
	}
}

func TestRevisionErrors(t *testing.T) {
	dir := repository(t)
	shallow := filepath.Join(t.TempDir(), "shallow")
	gitIn(t, ".", "clone", "-q", "--depth", "1", "--branch", "change", "file://"+dir, shallow)
	for _, c := range []struct{ name, dir, rev, want string }{
		{"unknown", dir, "origin/nothing", `comparing with "origin/nothing": the repository has no such revision: git fetch origin nothing gets it`},
		{"an option", dir, "--all", "that is no name of a revision"},
		{"no repository", t.TempDir(), "main", "not a git repository"},
		{"shallow", shallow, "origin/main", "git fetch --unshallow"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := FindRevision(t.Context(), c.dir, c.rev)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if got := errors.Is(err, ErrShallow); got != (c.name == "shallow") {
				t.Errorf("shallow: %t", got)
			}
		})
	}
}
