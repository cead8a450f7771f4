// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/falcotest/go-falcotest/internal/image/fingerprint"
)

// asksAsCommand makes this test binary the command that Build has go test run.
const asksAsCommand = "ask-as-a-command"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == asksAsCommand {
		os.Exit(Ask(os.Args[2:]))
	}
	os.Exit(withCache(m))
}

// withCache runs the tests with a cache of their own for notes, and the user's for
// what the go command builds.
func withCache(m *testing.M) int {
	cache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err == nil {
		err = os.Setenv("GOCACHE", strings.TrimSpace(string(cache)))
	}
	dir, err2 := os.MkdirTemp("", "falcotest-cache-")
	if err := errors.Join(err, err2, os.Setenv("XDG_CACHE_HOME", dir), os.Unsetenv("GOFLAGS")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	return m.Run()
}

// module writes the module of tests into a folder, with files as old as given.
func module(t *testing.T, dir string, age time.Time) {
	t.Helper()
	a, err := txtar.ParseFile("testdata/module.txtar")
	if err != nil {
		t.Fatal(err)
	}
	a.Files = append(a.Files, txtar.File{Name: "../shared/c.yaml", Data: []byte("- list: c\n")})
	for _, f := range a.Files {
		name := filepath.Join(dir, filepath.FromSlash(f.Name))
		mode := fs.FileMode(0o600)
		if bytes.HasPrefix(f.Data, []byte("#!")) {
			mode = 0o700
		}
		err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, f.Data, mode), os.Chtimes(name, age, age))
		if err != nil {
			t.Fatal(err)
		}
	}
}

func options(t *testing.T, dir string) Options {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Options{Dir: dir, Package: "./detect", Ask: []string{exe, asksAsCommand}, Log: t.Output(), Platforms: []string{"linux/" + runtime.GOARCH}}
}

func build(t *testing.T, o Options) *Image {
	t.Helper()
	i, err := Build(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(i.folder); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", i.folder, err)
		}
	})
	return i
}

func layers(t *testing.T, i v1.Image) (digests []string) {
	t.Helper()
	all, err := i.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range all {
		h, err := l.Digest()
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, h.String())
	}
	return digests
}

// The same sources make the same image, wherever they are and however old; a rules
// file that changed makes another, of the same binary.
func TestReproducible(t *testing.T) {
	one, other := filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "deep", "er", "other")
	module(t, one, time.Now())
	module(t, other, time.Unix(1e9, 0))
	at := options(t, one)
	at.Platforms = Platforms
	first := build(t, at)
	at.Dir = other
	second := build(t, at)
	if first.Digest() != second.Digest() {
		t.Errorf("%s and %s are not the same: %+v\n%+v", first.Digest(), second.Digest(), first.List, second.List)
	}
	if err := os.WriteFile(filepath.Join(other, "rules", "a.yaml"), []byte("- list: other\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	changed := build(t, at)
	if changed.Digest() == second.Digest() {
		t.Error("an image of other rules is the same")
	}
	before, after := layers(t, second.images[0]), layers(t, changed.images[0])
	if before[0] != after[0] || before[1] == after[1] {
		t.Errorf("the layers were %s and are %s", before, after)
	}
}

// An image has the binary and the files that the tests read, where they read them.
func TestContents(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "module")
	module(t, dir, time.Now())
	o := options(t, dir)
	o.Add = []Addition{{"more", "more"}, {"more/program", "/usr/bin/program"}}
	i := build(t, o)
	got := map[string]string{}
	r := tar.NewReader(mutate.Extract(i.images[0]))
	var list fingerprint.List
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || h.ModTime.Unix() != 1 {
			t.Errorf("%s belongs to %d:%d and is of %v", h.Name, h.Uid, h.Gid, h.ModTime)
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		switch name := "/" + h.Name; name {
		case fingerprint.Path:
			if err := json.Unmarshal(content, &list); err != nil {
				t.Error(err)
			}
			fallthrough
		case "/etc/passwd", "/etc/group", "/etc/shadow", "/falcotest/detect.test":
			content = nil
		}
		got["/"+h.Name] = fmt.Sprintf("%o %s", h.Mode, content)
	}
	want := map[string]string{
		"/etc/group": "644 ", "/etc/passwd": "644 ", "/etc/shadow": "640 ",
		"/falcotest/detect.test":                      "755 ",
		"/falcotest/fingerprints.json":                "644 ",
		"/falcotest/above/module/detect/rules/b.yaml": "644 - list: b\n",
		"/falcotest/above/module/rules/a.yaml":        "644 - list: a\n",
		"/falcotest/above/shared/c.yaml":              "644 - list: c\n",
		"/falcotest/above/module/detect/more/program": "755 #!/bin/sh\n", "/falcotest/above/module/detect/more/deep/data": "644 data\n",
		"/usr/bin/program": "755 #!/bin/sh\n",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(i.List, list); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string][]string{"TestRules": {"../rules/a.yaml", "rules/b.yaml"}, "TestMore": {"rules/b.yaml", "../../shared/c.yaml"}}, list.Tests); diff != "" {
		t.Error(diff)
	}
	if len(list.Files) != 3 || len(list.Binaries) != 1 {
		t.Errorf("%d files and %d binaries: %+v", len(list.Files), len(list.Binaries), list)
	}
	conf, err := i.images[0].ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(v1.Config{
		Entrypoint: []string{"/falcotest/detect.test"}, Cmd: []string{"-test.v"}, WorkingDir: "/falcotest/above/module/detect",
		Env:    []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"},
		Labels: map[string]string{"org.opencontainers.image.title": "example.org/rules/detect"},
	}, conf.Config); diff != "" {
		t.Error(diff)
	}
}

// The image is known to be of the binaries that go test and go test -c make where it
// was made, and of no others; anywhere, with -trimpath.
func TestIsOfItsBinaries(t *testing.T) {
	dir, elsewhere := filepath.Join(t.TempDir(), "module"), filepath.Join(t.TempDir(), "elsewhere")
	module(t, dir, time.Now())
	module(t, elsewhere, time.Now())
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	check := func(i *Image, dir, command string, want bool) {
		t.Helper()
		t.Run(command, func(t *testing.T) {
			folder := t.TempDir()
			args := strings.Fields(command)
			binary := filepath.Join(folder, "x.test")
			if slices.Contains(args, "-c") {
				args = slices.Insert(args, 2, "-o", binary)
			} else {
				args = slices.Insert(args, 2, "-exec", exe+" "+asksAsCommand+" "+folder)
			}
			cmd := exec.CommandContext(t.Context(), args[0], append(args[1:], "./detect")...)
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			sum, err := fingerprint.Of(binary)
			if errors.Is(err, fs.ErrNotExist) {
				var text []byte
				text, err = os.ReadFile(filepath.Join(folder, sumFile))
				sum = string(text)
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := i.List.IsOf(sum); got != want {
				t.Errorf("the image is of the binary of %s: %v", command, got)
			}
		})
	}
	i := build(t, options(t, dir))
	check(i, dir, "go test -v -run TestRules", true)
	check(i, dir, "go test -json -count=1", true)
	check(i, dir, "go test -c", true)
	check(i, dir, "go test -c -ldflags=-X=main.a=b", false)
	check(i, elsewhere, "go test -count=1", false)
	if err := os.WriteFile(filepath.Join(dir, "detect", "more_test.go"), []byte("package detect\n\nvar More = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	check(i, dir, "go test -run None -count=1", false)

	third := filepath.Join(t.TempDir(), "third")
	module(t, third, time.Now())
	t.Setenv("GOFLAGS", "-trimpath")
	i = build(t, options(t, elsewhere))
	forget(t)
	check(i, third, "go test -count=1", true)
	check(i, third, "go test -c", true)
}

// forget removes the notes of this user.
func forget(t *testing.T) {
	t.Helper()
	dir, err := os.UserCacheDir()
	if err == nil {
		err = os.RemoveAll(filepath.Join(dir, "falcotest"))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Each platform's binary is for its processor, and needs no library.
func TestPlatforms(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "module")
	module(t, dir, time.Now())
	o := options(t, dir)
	o.Platforms = Platforms
	i := build(t, o)
	for n, want := range []elf.Machine{elf.EM_X86_64, elf.EM_AARCH64} {
		conf, err := i.images[n].ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if conf.OS+"/"+conf.Architecture != Platforms[n] {
			t.Errorf("the image is for %s/%s, want %s", conf.OS, conf.Architecture, Platforms[n])
		}
		r := tar.NewReader(mutate.Extract(i.images[n]))
		for {
			h, err := r.Next()
			if err != nil {
				t.Fatalf("%s: the binary: %v", Platforms[n], err)
			}
			if h.Name == "falcotest/detect.test" {
				break
			}
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		binary, err := elf.NewFile(bytes.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		dynamic := slices.ContainsFunc(binary.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
		if binary.Machine != want || dynamic {
			t.Errorf("%s: the binary is for %s, linked dynamically: %v", Platforms[n], binary.Machine, dynamic)
		}
	}
}

// What is pushed can be pulled, by its digest, for each platform.
func TestPush(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "module")
	module(t, dir, time.Now())
	o := options(t, dir)
	o.Platforms = Platforms
	i := build(t, o)
	srv := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer srv.Close()
	ref, err := i.Push(t.Context(), strings.TrimPrefix(srv.URL, "http://")+"/team/rules:main", false)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(ref, "/team/rules@"+i.Digest()) {
		t.Errorf("it is called %s", ref)
	}
	for _, pulled := range []string{ref, strings.Split(ref, "@")[0] + ":main"} {
		parsed, err := name.ParseReference(pulled)
		if err != nil {
			t.Fatal(err)
		}
		index, err := remote.Index(parsed, remote.WithContext(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Index(index); err != nil {
			t.Errorf("%s: %v", pulled, err)
		}
	}
	secure := httptest.NewTLSServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer secure.Close()
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	to := strings.TrimPrefix(secure.URL, "https://") + "/rules"
	if _, err := i.Push(t.Context(), to, false); err == nil || !strings.Contains(err.Error(), "pushing the image to "+to) {
		t.Errorf("a registry whose certificate nobody signed: %v", err)
	}
	if _, err := i.Push(t.Context(), to, true); err != nil {
		t.Error(err)
	}
	if _, err := i.Push(t.Context(), "Not a name", false); err == nil {
		t.Error("a wrong reference is taken")
	}
}

// A file with the image is an OCI layout, and what docker load reads.
func TestSave(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "module")
	module(t, dir, time.Now())
	o := options(t, dir)
	o.Platforms = Platforms
	i := build(t, o)
	if want := "falcotest.local/detect:" + i.digest.Hex[:12]; i.Name() != want {
		t.Errorf("it is called %s, want %s", i.Name(), want)
	}
	file := filepath.Join(t.TempDir(), "image.tar")
	if err := i.Save(file, i.Name()); err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(i.Name())
	if err != nil {
		t.Fatal(err)
	}
	docker, err := tarball.ImageFromPath(file, &tag)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(docker); err != nil {
		t.Error(err)
	}
	unpacked := t.TempDir()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		to := filepath.Join(unpacked, h.Name)
		if err := errors.Join(err, os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, content, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	l, err := layout.FromPath(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	index, err := l.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	if err := i.Save(filepath.Join(dir, "no", "folder", "image.tar"), i.Name()); err == nil {
		t.Error("there is no such folder, and it is written")
	}
}

func TestErrors(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "module")
	module(t, dir, time.Now())
	for test, c := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"no rules":         {func(o *Options) { o.Package = "./plain" }, "no test of it runs tests of rules"},
		"several packages": {func(o *Options) { o.Package = "./..." }, "an image is of one"},
		"no package":       {func(o *Options) { o.Package = "./none" }, "go list"},
		"platform":         {func(o *Options) { o.Platforms = []string{"windows/amd64"} }, `the platform "windows/amd64": want linux/`},
		"architecture":     {func(o *Options) { o.Platforms = []string{"linux/none"} }, "linux/none"},
		"no file":          {func(o *Options) { o.Add = []Addition{{"none", "/none"}} }, "adding none"},
	} {
		t.Run(test, func(t *testing.T) {
			o := options(t, dir)
			c.change(&o)
			wantError(t, o, c.want)
		})
	}
	t.Setenv("BROKEN", "1")
	o := options(t, dir)
	wantError(t, o, "-run asks fewer")
	o.Run = "Rules|More"
	build(t, o)
}

func wantError(t *testing.T, o Options, want string) {
	t.Helper()
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	var said bytes.Buffer
	o.Log = &said
	i, err := Build(t.Context(), o)
	if err == nil {
		i.Close()
		t.Fatal("there is no error")
	}
	if text := err.Error() + said.String(); !strings.Contains(text, want) {
		t.Errorf("%s\ndoes not say %q", text, want)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("%s is left, %v", left, err)
	}
}
