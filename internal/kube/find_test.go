// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/falcotest/go-falcotest/internal/kube"
	"github.com/falcotest/go-falcotest/internal/kube/programs"
)

// fakes makes files named as programs are.
func fakes(t *testing.T, dir string, names ...string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if runtime.GOOS == "windows" {
			name += ".exe"
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFind(t *testing.T) {
	home := t.TempDir()
	for _, name := range []string{"HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "LocalAppData"} {
		t.Setenv(name, home)
	}
	t.Setenv("KUBEBUILDER_ASSETS", "")

	_, err := kube.Find()
	if !errors.Is(err, kube.ErrNoBinaries) || !strings.Contains(err.Error(), programs.Command) {
		t.Errorf("with nothing there: %v", err)
	}

	path, err := programs.APIServer.Path()
	if err != nil {
		t.Fatal(err)
	}
	fakes(t, filepath.Dir(path), "kube-apiserver")
	if b, err := kube.Find(); err != nil || b.Combined != path {
		t.Errorf("with one in the cache: %v, %v", b, err)
	}

	data := filepath.Join(home, "kubebuilder-envtest")
	if runtime.GOOS == "darwin" {
		data = filepath.Join(home, "Library", "Application Support", "io.kubebuilder.envtest")
	}
	suffix := "-" + runtime.GOOS + "-" + runtime.GOARCH
	fakes(t, filepath.Join(data, "k8s", "1.9.0"+suffix), "kube-apiserver", "etcd")
	fakes(t, filepath.Join(data, "k8s", "1.36.1"+suffix), "kube-apiserver", "etcd")
	fakes(t, filepath.Join(data, "k8s", "1.37.0"+suffix), "kubectl") // not whole
	fakes(t, filepath.Join(data, "k8s", "1.99.0-other-arch"), "kube-apiserver", "etcd")
	if b, err := kube.Find(); err != nil || filepath.Base(filepath.Dir(b.APIServer)) != "1.36.1"+suffix {
		t.Errorf("with some of setup-envtest: %v, %v", b, err)
	}

	assets := t.TempDir()
	t.Setenv("KUBEBUILDER_ASSETS", assets)
	if _, err := kube.Find(); err == nil || errors.Is(err, kube.ErrNoBinaries) || !strings.Contains(err.Error(), assets) {
		t.Errorf("with an empty KUBEBUILDER_ASSETS: %v", err)
	}
	fakes(t, assets, "kube-apiserver", "etcd")
	if b, err := kube.Find(); err != nil || filepath.Dir(b.Etcd) != assets {
		t.Errorf("with KUBEBUILDER_ASSETS: %v, %v", b, err)
	}
}
