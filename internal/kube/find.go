// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/falcotest/go-falcotest/internal/kube/programs"
)

// ErrNoBinaries is wrapped by the error of [Find] when there is nothing to
// start. Its text says what to do about it.
var ErrNoBinaries = errors.New("no kube-apiserver to start: build one by `" + programs.Command +
	"` (some minutes, once), or set KUBEBUILDER_ASSETS to the folder of a kube-apiserver and an etcd")

// Binaries are the programs of an API server.
type Binaries struct {
	Combined        string // etcd and kube-apiserver in one, built by package apiserver
	APIServer, Etcd string // or two programs
	Origin          string // how they were found, for messages
}

// String returns what they are.
func (b Binaries) String() string {
	return cmp.Or(b.Combined, b.APIServer) + " (" + b.Origin + ")"
}

// Find looks for the programs of an API server: in the folder that
// KUBEBUILDER_ASSETS names, then the newest in the folder that setup-envtest
// fills, then what package apiserver built into the user's cache.
func Find() (Binaries, error) {
	if dir := os.Getenv("KUBEBUILDER_ASSETS"); dir != "" {
		b := Binaries{APIServer: program(dir, "kube-apiserver"), Etcd: program(dir, "etcd"), Origin: "from KUBEBUILDER_ASSETS"}
		for _, p := range []string{b.APIServer, b.Etcd} {
			if _, err := os.Stat(p); err != nil {
				return Binaries{}, fmt.Errorf("KUBEBUILDER_ASSETS=%s does not have what it should: %w", dir, err)
			}
		}
		return b, nil
	}
	if b, ok := fromEnvtest(); ok {
		return b, nil
	}
	path, err := programs.APIServer.Path()
	if err != nil {
		return Binaries{}, fmt.Errorf("%w (%v)", ErrNoBinaries, err)
	}
	if _, err := os.Stat(path); err != nil {
		return Binaries{}, ErrNoBinaries
	}
	return Binaries{Combined: path, Origin: "from the user's cache"}, nil
}

func program(dir, name string) string {
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(dir, name)
}

// fromEnvtest looks where controller-runtime's setup-envtest puts its
// downloads: k8s/VERSION-OS-ARCH in a folder for the user's data.
func fromEnvtest() (Binaries, bool) {
	var data string
	switch runtime.GOOS {
	case "windows":
		data = filepath.Join(os.Getenv("LocalAppData"), "kubebuilder-envtest")
	case "darwin":
		data = filepath.Join(os.Getenv("HOME"), "Library", "Application Support", "io.kubebuilder.envtest")
	default:
		base := os.Getenv("XDG_DATA_HOME")
		if base == "" {
			base = filepath.Join(os.Getenv("HOME"), ".local", "share")
		}
		data = filepath.Join(base, "kubebuilder-envtest")
	}
	if !filepath.IsAbs(data) {
		return Binaries{}, false
	}
	suffix := "-" + runtime.GOOS + "-" + runtime.GOARCH
	found, _ := filepath.Glob(filepath.Join(data, "k8s", "*"+suffix))
	slices.SortFunc(found, func(a, b string) int {
		return slices.Compare(version(strings.TrimSuffix(filepath.Base(b), suffix)), version(strings.TrimSuffix(filepath.Base(a), suffix)))
	})
	for _, dir := range found {
		b := Binaries{APIServer: program(dir, "kube-apiserver"), Etcd: program(dir, "etcd"), Origin: "from setup-envtest"}
		_, err1 := os.Stat(b.APIServer)
		_, err2 := os.Stat(b.Etcd)
		if err1 == nil && err2 == nil {
			return b, true
		}
	}
	return Binaries{}, false
}

// version returns the numbers of "1.37.2".
func version(s string) []int {
	var v []int
	for part := range strings.SplitSeq(s, ".") {
		n, _ := strconv.Atoi(part)
		v = append(v, n)
	}
	return v
}
