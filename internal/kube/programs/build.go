// SPDX-License-Identifier: Apache-2.0

package programs

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/falcotest/go-falcotest/internal/filelock"
	"github.com/falcotest/go-falcotest/internal/journal"
)

//go:embed source
var source embed.FS

// The programs.
var (
	// APIServer is etcd and kube-apiserver in one process.
	APIServer = Program{Name: "kube-apiserver", What: "the API server", Source: folder("kubernetes"), Main: []string{"apiserver.go"}}

	// Nodes is what else a cluster has whose nodes run pods: kube-scheduler,
	// kube-controller-manager and kubelet. It is a program of its own so that
	// those who want an API server alone need not wait for the rest.
	Nodes = Program{Name: "kubernetes-nodes", What: "scheduler, controller manager and kubelet", Source: folder("kubernetes"), Main: []string{"nodes.go"}}

	// Simulator is kwok, which plays nodes that run nothing.
	Simulator = Program{Name: "kwok", What: "kwok", Source: folder("kwok"), Main: []string{"kwok.go"}}
)

// folder returns a folder of source.
func folder(name string) fs.FS {
	f, err := fs.Sub(source, "source/"+name)
	if err != nil {
		panic("programs: " + err.Error()) // the name is a valid path
	}
	return f
}

// Program is a program that is built from a module of its own.
type Program struct {
	Name   string   // of its file
	What   string   // for messages
	Source fs.FS    // has module.mod and module.sum, unless it needs the standard library alone
	Main   []string // the files of package main, in Source
}

// A file is one of the program's source, with the name that it must have for
// the go command.
type file struct {
	name    string
	content []byte
}

func (p Program) files() ([]file, error) {
	var list []file
	for _, name := range p.Main {
		b, err := fs.ReadFile(p.Source, name)
		if err != nil {
			return nil, fmt.Errorf("reading the source of %s: %w", p.What, err)
		}
		list = append(list, file{name, b})
	}
	for _, f := range []file{{"go.mod", []byte("module falcotest.test/program\n\ngo 1.26.0\n")}, {"go.sum", nil}} {
		b, err := fs.ReadFile(p.Source, "module"+filepath.Ext(f.name)) // module.mod, module.sum
		if err == nil {
			f.content = b
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("reading the source of %s: %w", p.What, err)
		}
		list = append(list, f)
	}
	return list, nil
}

// Command is the command that builds the API server into the user's cache; the
// others build more besides.
const (
	Command          = "go run github.com/falcotest/go-falcotest/falcotest/cmd/falcotest apiserver"
	NodesCommand     = Command + " -nodes"
	SimulatorCommand = NodesCommand + " -simulator"
)

// Version returns the version of Kubernetes that is built: "v1.37.2".
func Version() string {
	b, err := fs.ReadFile(APIServer.Source, "module.mod")
	if err != nil {
		panic("programs: " + err.Error()) // it is embedded
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "k8s.io/kubernetes "); ok {
			return v
		}
	}
	panic("programs: module.mod does not say which version of k8s.io/kubernetes")
}

// flags are the go command's flags for the build. Kubernetes tells its clients
// the version, which is only known to a linker flag.
func flags() []string {
	return []string{"-trimpath", "-ldflags", "-s -w -X k8s.io/component-base/version.gitVersion=" + Version()}
}

// Path returns where the program is, or would be, in the user's cache. Each
// version of its source and of Go has a place of its own. The error is that of
// [os.UserCacheDir].
func (p Program) Path() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("looking for the user's cache: %w", err)
	}
	files, err := p.files()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%s %d\n", f.name, len(f.content))
		h.Write(f.content)
	}
	fmt.Fprintln(h, runtime.Version(), runtime.GOOS, runtime.GOARCH, flags())
	name := p.Name
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(cache, "go-falcotest", p.Name+"-"+hex.EncodeToString(h.Sum(nil))[:16], name), nil
}

// Build builds the program into the user's cache, unless it is there, and
// returns its path. It needs the go command, which downloads Kubernetes from
// the Go module proxy. On two idle cores the API server takes about five minutes
// and 2.5 GB of memory, then the nodes' two minutes and the simulator one. When
// several processes call it at once, one builds and the others wait. What the go
// command says goes to log: the packages as they are built.
func (p Program) Build(ctx context.Context, log io.Writer) (string, error) {
	program, err := p.Path()
	if err != nil {
		return "", err
	}
	dir := filepath.Dir(program)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("building %s: %w", p.What, err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", fmt.Errorf("building %s: %w", p.What, err)
	}
	defer lock.Close()
	if err := filelock.Wait(ctx, lock); err != nil {
		return "", fmt.Errorf("building %s: waiting for another build: %w", p.What, err)
	}
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	if err := p.build(ctx, program, log); err != nil {
		return "", fmt.Errorf("building %s: %w", p.What, err)
	}
	return program, nil
}

func (p Program) build(ctx context.Context, program string, log io.Writer) error {
	work, err := journal.CreatePrivate("", "build-"+rand.Text()[:12])
	if err != nil {
		return err
	}
	defer work.Close()
	dir := work.Path()
	files, err := p.files()
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f.name), f.content, 0o644); err != nil {
			return err
		}
	}
	// Built beside its place and then renamed, so that there never is half of
	// it. The files are named because the build constraint that keeps those of
	// Kubernetes out of this module does not hold for files that are named.
	unfinished := program + ".unfinished"
	defer os.Remove(unfinished)
	args := append([]string{"build", "-v", "-o", unfinished}, flags()...)
	cmd := exec.CommandContext(ctx, "go", append(args, p.Main...)...)
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
