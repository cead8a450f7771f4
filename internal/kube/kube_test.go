// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/falcotest/go-falcotest/internal/kube"
	"github.com/falcotest/go-falcotest/internal/source/k8saudit/audit"
)

// needCluster skips the test where there is no API server to start. In CI
// there must be one.
func needCluster(t testing.TB) {
	t.Helper()
	_, err := kube.Find()
	switch {
	case err == nil:
	case errors.Is(err, kube.ErrNoBinaries) && os.Getenv("CI") == "":
		t.Skip(err)
	default:
		t.Fatal(err)
	}
}

// A recorder keeps the events it is given.
type recorder struct {
	mu     sync.Mutex
	events []*audit.Event
}

func (r *recorder) handle(e *audit.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// of returns the events about an object.
func (r *recorder) of(resource, name string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var got []string
	for _, e := range r.events {
		if e.Text("objectRef", "resource") == resource && e.Text("objectRef", "name") == name {
			got = append(got, e.Text("verb")+" "+e.Text("responseStatus", "code"))
		}
	}
	return got
}

func startCluster(t testing.TB, opts kube.Options) *kube.Cluster {
	t.Helper()
	needCluster(t)
	opts.Problem = func(err error) { t.Errorf("problem: %v", err) }
	c, err := kube.Start(context.Background(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestCluster(t *testing.T) {
	var r recorder
	c := startCluster(t, kube.Options{Handle: r.handle})
	if !strings.HasPrefix(c.Version(), "v1.") {
		t.Errorf("version %q", c.Version())
	}
	client, err := dynamic.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()

	t.Run("an event is handled when its answer was read", func(t *testing.T) {
		maps := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace("default")
		for range 20 {
			m := &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "m"},
				"data": map[string]any{"big": strings.Repeat("x", 100_000)},
			}}
			before := len(r.of("configmaps", "m"))
			if _, err := maps.Create(ctx, m, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			if got := r.of("configmaps", "m")[before:]; len(got) != 1 || got[0] != "create 201" {
				t.Fatalf("after the answer, events %q", got)
			}
			if err := maps.Delete(ctx, "m", metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			if got := r.of("configmaps", "m")[before:]; len(got) != 2 || got[1] != "delete 200" {
				t.Fatalf("after the answer, events %q", got)
			}
		}
	})

	t.Run("a namespace ends with what is in it", func(t *testing.T) {
		all := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"})
		ns := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "n"},
		}}
		if _, err := all.Create(ctx, ns, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		pod := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": "p"},
			"spec": map[string]any{"nodeName": "nowhere", "containers": []any{map[string]any{"name": "c", "image": "i"}}},
		}}
		pods := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace("n")
		if _, err := pods.Create(ctx, pod, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		w, err := all.Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=n"})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Stop()
		if err := all.Delete(ctx, "n", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		for e := range w.ResultChan() {
			if e.Type == "DELETED" {
				return
			}
		}
		t.Error("the watch ended, and the namespace was not deleted")
	})

	t.Run("events of others are refused", func(t *testing.T) {
		before := c.Counts()
		if before.Events == 0 || before.Refused != 0 || before.Lost != 0 {
			t.Errorf("counts %+v", before)
		}
	})
}

func TestClusterThatDies(t *testing.T) {
	needCluster(t)
	b, err := kube.Find()
	if err != nil {
		t.Fatal(err)
	}
	c, err := kube.Start(context.Background(), kube.Options{Binaries: b})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Err(); err != nil {
		t.Errorf("before: %v", err)
	}
	kube.KillServer(c)
	<-c.Done()
	if err := c.Err(); err == nil || !strings.Contains(err.Error(), "kube-apiserver ended: signal: killed") {
		t.Errorf("after: %v", err)
	}
	kubeconfig := c.Kubeconfig()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(kubeconfig); !os.IsNotExist(err) {
		t.Errorf("the kubeconfig is still there: %v", err)
	}
}

func TestStartFails(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Run("not a program", func(t *testing.T) {
		_, err := kube.Start(context.Background(), kube.Options{Binaries: kube.Binaries{Combined: os.DevNull}})
		if err == nil || !strings.Contains(err.Error(), "starting a Kubernetes API server: "+os.DevNull) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("a program that ends", func(t *testing.T) {
		t.Setenv("KUBE_TEST_END", "1")
		_, err := kube.Start(context.Background(), kube.Options{Binaries: kube.Binaries{Combined: self}})
		if err == nil || !strings.Contains(err.Error(), "no such luck") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("a program that says nothing", func(t *testing.T) {
		t.Setenv("KUBE_TEST_SILENT", "1")
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(errors.New("had enough"))
		_, err := kube.Start(ctx, kube.Options{Binaries: kube.Binaries{Combined: self}})
		if err == nil || !strings.Contains(err.Error(), "had enough") {
			t.Errorf("error %v", err)
		}
	})
}

func TestMain(m *testing.M) {
	switch {
	case os.Getenv("KUBE_TEST_END") != "":
		os.Stderr.WriteString("no such luck\n")
		os.Exit(3)
	case os.Getenv("KUBE_TEST_HANG") != "":
		startAndHang()
	case os.Getenv("KUBE_TEST_SILENT") != "":
		os.Stdin.Read(make([]byte, 1))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestNothingIsLeftInTemp(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	c := startCluster(t, kube.Options{Handle: func(*audit.Event) {}})
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}
