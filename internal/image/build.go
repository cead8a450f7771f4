// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/image/fingerprint"
)

// Platforms are those that an image is made for by default.
var Platforms = []string{"linux/amd64", "linux/arm64"}

// Options say what an image is made of.
type Options struct {
	// Dir is where the go command runs, the current folder if empty.
	Dir string
	// Package is the package of the tests, "." if empty.
	Package string
	// Platforms are what it is made for, such as linux/arm64; Platforms if empty.
	Platforms []string
	// Run selects the test functions that are asked which files they read, as go
	// test -run does; all if empty.
	Run string
	// Add are more files.
	Add []Addition
	// Ask is a command that calls [Ask] with the arguments that follow.
	Ask []string
	// Log receives what the go command says.
	Log io.Writer
}

// Addition is a file, or a folder with all that is in it, and its path in the
// image: from the package's folder on if it is not absolute.
type Addition struct{ From, To string }

// test is a package of tests, as go list describes it.
type test struct {
	Dir, ImportPath string
	Module          *struct{ Dir string }
}

// builder makes an image.
type builder struct {
	Options
	test   test
	folder string // for what is built
	list   fingerprint.List
	made   []fingerprint.Binary // by go test, here
	files  []file               // of the image, beside the binary

}

// file is one of this machine and its place in the image.
type file struct {
	from string
	to   string // with slashes; relative to the package's folder, or absolute
	mode int64
}

// Build makes an image, and notes for this user which of the binaries that go test
// makes here it is of. [Image.Close] is to be called when it is not needed any
// more.
func Build(ctx context.Context, o Options) (_ *Image, err error) {
	o.Package = cmp.Or(o.Package, ".")
	if len(o.Platforms) == 0 {
		o.Platforms = Platforms
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	b := &builder{Options: o}
	if b.folder, err = os.MkdirTemp("", "falcotest-image-"); err != nil {
		return nil, fmt.Errorf("making an image: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(b.folder))
		}
	}()
	for _, step := range []func(context.Context) error{b.find, b.ask, b.add, b.compile} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("making an image of %s: %w", o.Package, err)
		}
	}
	i, err := b.assemble()
	if err == nil {
		err = i.List.Note(b.made...)
	}
	if err != nil {
		return nil, fmt.Errorf("making an image of %s: %w", o.Package, err)
	}
	return i, nil
}

// find finds the package.
func (b *builder) find(ctx context.Context) error {
	out, err := b.goCommand(ctx, nil, "list", "-json=Dir,ImportPath,Module", b.Package)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(out))
	if err := d.Decode(&b.test); err != nil {
		return fmt.Errorf("reading what go list says: %w", err)
	}
	if d.More() {
		return errors.New("it names several packages: an image is of one")
	}
	if b.test.Module == nil {
		return errors.New("it is in no module: go mod init makes one")
	}
	b.list.Package = b.test.ImportPath
	return nil
}

// binaryName is the name of the test binary, as go test calls it.
func (b *builder) binaryName() string { return path.Base(b.test.ImportPath) + ".test" }

// Names of files in the builder's folder.
const (
	toldFile = "files" // what the sessions told
	sumFile  = "sum"   // the SHA-256 of the binary that go test made
)

// ask has go test run the tests so that they tell which files they read.
func (b *builder) ask(ctx context.Context) error {
	command := slices.Concat(b.Ask, []string{b.folder})
	for i, word := range command {
		if strings.ContainsAny(word, " \t'") {
			command[i] = `"` + word + `"`
		}
	}
	out, err := b.goCommand(ctx, nil, "test", "-vet=off", "-count=1", "-run", cmp.Or(b.Run, "."), "-exec", strings.Join(command, " "), b.test.ImportPath)
	if err != nil {
		return fmt.Errorf("asking the tests which files they read, those of rules (-run asks fewer): %w\n%s", err, bytes.TrimSpace(out))
	}
	sessions, err := fingerprint.Told(filepath.Join(b.folder, toldFile))
	if err != nil {
		return err
	}
	if len(sessions) == 0 {
		return fmt.Errorf("no test of it runs tests of rules, by falcotest.Run or another function of that package; go test said:\n%s", bytes.TrimSpace(out))
	}
	sum, err := os.ReadFile(filepath.Join(b.folder, sumFile))
	if err != nil {
		return fmt.Errorf("asking the tests which files they read: %w", err)
	}
	b.made = append(b.made, fingerprint.Binary{SHA256: string(sum), Made: fmt.Sprintf("go test, %s/%s", runtime.GOOS, runtime.GOARCH)})
	b.list.Tests, b.list.Files = map[string][]string{}, map[string]string{}
	for _, s := range sessions {
		if b.list.Tests[s.Test] == nil {
			b.list.Tests[s.Test] = []string{}
		}
		for _, name := range s.Files {
			slashed := filepath.ToSlash(name)
			if filepath.IsAbs(name) && !path.IsAbs(slashed) {
				return fmt.Errorf("the test %s reads %s, which has no place in a file system of Linux: name it from the package's folder on", s.Test, name)
			}
			if !slices.Contains(b.list.Tests[s.Test], slashed) {
				b.list.Tests[s.Test] = append(b.list.Tests[s.Test], slashed)
			}
			if b.list.Files[slashed] != "" {
				continue
			}
			from := name
			if !filepath.IsAbs(name) {
				from = filepath.Join(b.test.Dir, name)
			}
			if b.list.Files[slashed], err = fingerprint.Of(from); err != nil {
				return err
			}
			b.files = append(b.files, file{from: from, to: slashed, mode: 0o644})
		}
	}
	return nil
}

// Ask is what a command does that [Build] has go test run in place of the test
// binary: it takes the binary's fingerprint, and runs it so that it tells which
// files its tests read. It returns how it ended.
func Ask(args []string) int {
	if len(args) < 2 {
		fmt.Fprintln(os.Stderr, "want a folder, a test binary and its arguments")
		return 2
	}
	sum, err := fingerprint.Of(args[1])
	if err == nil {
		err = os.WriteFile(filepath.Join(args[0], sumFile), []byte(sum), 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	cmd := exec.Command(args[1], args[2:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), config.EnvTell+"="+filepath.Join(args[0], toldFile))
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.Exited() {
		return exit.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	return 0
}

// add finds the files that were asked for beside those of the tests.
func (b *builder) add(context.Context) error {
	for _, a := range b.Add {
		root := a.From
		if b.Dir != "" && !filepath.IsAbs(root) {
			root = filepath.Join(b.Dir, root)
		}
		err := filepath.WalkDir(root, func(name string, _ os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := os.Stat(name) // what a link leads to
			if err != nil || info.IsDir() {
				return err
			}
			inside, err := filepath.Rel(root, name)
			if err != nil {
				return err
			}
			mode := int64(0o644)
			if info.Mode()&0o111 != 0 {
				mode = 0o755
			}
			b.files = append(b.files, file{from: name, to: path.Join(a.To, filepath.ToSlash(inside)), mode: mode})
			return nil
		})
		if err != nil {
			return fmt.Errorf("adding %s: %w", a.From, err)
		}
	}
	return nil
}

// compile builds the binaries: for each platform one, and the one that go test -c
// makes here, for its fingerprint.
func (b *builder) compile(ctx context.Context) error {
	here, err := b.binary(ctx, "here", nil)
	if err != nil {
		return err
	}
	here.Made = fmt.Sprintf("go test -c, %s/%s", runtime.GOOS, runtime.GOARCH)
	b.made = append(b.made, here)
	given, err := b.goCommand(ctx, nil, "env", "GOFLAGS")
	if err != nil {
		return err
	}
	if bytes.Contains(given, []byte("-trimpath")) {
		b.list.Binaries = append(b.list.Binaries, b.made...)
	}
	flags := []string{"-trimpath"}
	if !bytes.Contains(given, []byte("-ldflags")) {
		flags = append(flags, "-ldflags=-s -w") // as go test does
	}
	for _, platform := range b.Platforms {
		system, arch, _ := strings.Cut(platform, "/")
		if system != "linux" || arch == "" {
			return fmt.Errorf("the platform %q: want linux/ and an architecture, such as %s", platform, strings.Join(Platforms, ", "))
		}
		binary, err := b.binary(ctx, "linux_"+arch, []string{"CGO_ENABLED=0", "GOOS=" + system, "GOARCH=" + arch}, flags...)
		if err != nil {
			return err
		}
		binary.Made = "in the image, " + platform
		b.list.Binaries = append(b.list.Binaries, binary)
	}
	return nil
}

// binary builds the test binary into the builder's folder.
func (b *builder) binary(ctx context.Context, name string, env []string, flags ...string) (fingerprint.Binary, error) {
	out := filepath.Join(b.folder, name)
	said, err := b.goCommand(ctx, env, slices.Concat([]string{"test", "-c", "-o", out}, flags, []string{b.test.ImportPath})...)
	if err != nil {
		return fingerprint.Binary{}, err
	}
	sum, err := fingerprint.Of(out)
	if err != nil {
		return fingerprint.Binary{}, fmt.Errorf("building the tests: %w: %s", err, bytes.TrimSpace(said))
	}
	return fingerprint.Binary{SHA256: sum}, nil
}

// goCommand runs the go command and returns what it says on standard output.
func (b *builder) goCommand(ctx context.Context, env []string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = b.Dir
	cmd.Env = append(os.Environ(), env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, b.Log
	if err := cmd.Run(); err != nil {
		return out.Bytes(), fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	return out.Bytes(), nil
}
