// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/falcotest/go-falcotest/internal/filelock"
	"github.com/falcotest/go-falcotest/internal/journal"
)

//go:embed source
var source embed.FS

// files are the names of the source's files, and what they must be called for
// the go command.
var files = []struct{ name, as string }{
	{"main.go", "main.go"},
	{"module.mod", "go.mod"},
	{"module.sum", "go.sum"},
}

// Command is the command that builds the program into the user's cache.
const Command = "go run github.com/falcotest/go-falcotest/falcotest/cmd/falcotest apiserver"

// Version returns the version of Kubernetes that is built: "v1.37.2".
func Version() string {
	b, err := source.ReadFile("source/module.mod")
	if err != nil {
		panic("apiserver: " + err.Error()) // it is embedded
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "k8s.io/kubernetes "); ok {
			return v
		}
	}
	panic("apiserver: module.mod does not say which version of k8s.io/kubernetes")
}

// flags are the go command's flags for the build. The API server tells its
// clients the version, which is only known to a linker flag.
func flags() []string {
	return []string{"-trimpath", "-ldflags", "-s -w -X k8s.io/component-base/version.gitVersion=" + Version()}
}

// Path returns where the program is, or would be, in the user's cache. Each
// version of its source and of Go has a place of its own. The error is that of
// [os.UserCacheDir].
func Path() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("looking for the user's cache: %w", err)
	}
	h := sha256.New()
	for _, f := range files {
		b, err := source.ReadFile(path.Join("source", f.name))
		if err != nil {
			return "", fmt.Errorf("reading the API server's source: %w", err)
		}
		fmt.Fprintf(h, "%s %d\n", f.as, len(b))
		h.Write(b)
	}
	fmt.Fprintln(h, runtime.Version(), runtime.GOOS, runtime.GOARCH, flags())
	name := "kube-apiserver"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(cache, "go-falcotest", "kube-apiserver-"+hex.EncodeToString(h.Sum(nil))[:16], name), nil
}

// Build builds the program into the user's cache, unless it is there, and
// returns its path. It needs the go command, which downloads Kubernetes from
// the Go module proxy; it takes about three minutes on two idle cores and 2.5
// GB of memory. When several processes call it at once, one builds and the
// others wait. What the go command says goes to log: the packages as they are built.
func Build(ctx context.Context, log io.Writer) (string, error) {
	program, err := Path()
	if err != nil {
		return "", err
	}
	dir := filepath.Dir(program)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("building the API server: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", fmt.Errorf("building the API server: %w", err)
	}
	defer lock.Close()
	if err := filelock.Wait(ctx, lock); err != nil {
		return "", fmt.Errorf("building the API server: waiting for another build: %w", err)
	}
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	if err := build(ctx, program, log); err != nil {
		return "", fmt.Errorf("building the API server: %w", err)
	}
	return program, nil
}

func build(ctx context.Context, program string, log io.Writer) error {
	work, err := journal.CreatePrivate("", "apiserver-"+rand.Text()[:12])
	if err != nil {
		return err
	}
	defer work.Close()
	dir := work.Path()
	for _, f := range files {
		b, err := source.ReadFile(path.Join("source", f.name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, f.as), b, 0o644); err != nil {
			return err
		}
	}
	// Built beside its place and then renamed, so that there never is half of
	// it. main.go is named because its build constraint, which keeps it out of
	// this module, does not hold for files that are named.
	unfinished := program + ".unfinished"
	defer os.Remove(unfinished)
	args := append([]string{"build", "-v", "-o", unfinished}, flags()...)
	cmd := exec.CommandContext(ctx, "go", append(args, "main.go")...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=readonly",
		"GO111MODULE=on", "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH, "PWD="+dir)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = errors.Join(context.Cause(ctx), err)
		}
		return fmt.Errorf("go %s: %w", strings.Join(cmd.Args[1:], " "), err)
	}
	return os.Rename(unfinished, program)
}
