// SPDX-License-Identifier: Apache-2.0

package k8saudit_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/events/k8saudit"
	"github.com/falcotest/go-falcotest/falcotest"
	"github.com/falcotest/go-falcotest/internal/kube"
	"github.com/falcotest/go-falcotest/internal/source/k8saudit/audit"
)

// A liveCluster is an API server with a record of its audit events.
type liveCluster struct {
	*kube.Cluster
	problems []error // to be looked at after its end

	mu     sync.Mutex
	events []*audit.Event
}

// shared is the API server of all tests that do not need one of their own.
var shared struct {
	sync.Once
	cluster *liveCluster
	err     error
}

func TestMain(m *testing.M) { falcotest.Main(withShared{m}) }

// withShared ends the shared API server after the tests.
type withShared struct{ m *testing.M }

func (w withShared) Run() int {
	code := w.m.Run()
	if c := shared.cluster; c != nil {
		if err := errors.Join(c.Close(), errors.Join(c.problems...)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// live returns the shared API server, or skips the test where there is none to
// start. In CI there must be one.
func live(t testing.TB) *liveCluster {
	t.Helper()
	shared.Do(func() { shared.cluster, shared.err = startLive() })
	if errors.Is(shared.err, kube.ErrNoBinaries) && os.Getenv("CI") == "" {
		t.Skip(shared.err)
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.cluster
}

func startLive() (*liveCluster, error) {
	c := &liveCluster{}
	cluster, err := kube.Start(context.Background(), kube.Options{
		Handle: func(e *audit.Event) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.events = append(c.events, e)
		},
		Problem: func(err error) { c.problems = append(c.problems, err) },
	})
	if err != nil {
		return nil, err
	}
	c.Cluster = cluster
	return c, nil
}

// of returns the events of requests with an id, so far.
func (c *liveCluster) of(id string) []*audit.Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	var of []*audit.Event
	for _, e := range c.events {
		if e.Text("userAgent") == "falcotest/"+id {
			of = append(of, e)
		}
	}
	return of
}

func names() []string {
	var names []string
	for name := range events.ByPackage("k8saudit") {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// update makes TestLive write what it sees into testdata/recorded.
var update = flag.Bool("update", false, "record the audit events of all actions anew")

// Each action fires its rule on a real API server, by an alert that shows
// which run it is of, and leaves nothing behind.
func TestLive(t *testing.T) {
	c := live(t)
	files := upstreamFiles(t)
	if files == nil {
		files = ownFiles
	}
	e := load(t, files)
	before := c.objects(t)
	for i, name := range names() {
		t.Run(name, func(t *testing.T) {
			id := fmt.Sprintf("live-%d", i)
			if *update {
				id = recording
			}
			from := len(c.of(id))
			if err := newHelper(c.Kubeconfig()).run(t, name, id); err != nil {
				t.Fatal(err)
			}
			of := c.of(id)[from:]
			rule := ruleOf(t, e, name)
			alerts := judge(e, rule, of)
			if len(alerts) == 0 {
				t.Errorf("rule %q does not fire for these:", rule)
				for _, event := range of {
					t.Log(event)
				}
			}
			for _, a := range alerts {
				if !strings.Contains(a.Output, id) {
					t.Errorf("the alert does not show which run it is of: %s", a.Output)
				}
			}
			if *update {
				if err := os.WriteFile(recordedFile(name), scrub(t, of), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	if d := cmp.Diff(before, c.objects(t)); d != "" {
		t.Errorf("what is in the cluster (-before +after):\n%s", d)
	}
	if n := c.Counts(); n.Refused != 0 || n.Lost != 0 {
		t.Errorf("counts %+v", n)
	}
}

// objects lists all that is in the cluster, but for events and leases.
func (c *liveCluster) objects(t testing.TB) []string {
	t.Helper()
	d, err := discovery.NewDiscoveryClientForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	client, err := dynamic.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	kinds, err := d.ServerPreferredResources()
	if err != nil {
		t.Fatal(err)
	}
	var objects []string
	for _, list := range discovery.FilteredBy(discovery.SupportsAllVerbs{Verbs: []string{"list"}}, kinds) {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list.APIResources {
			if r.Name == "events" || r.Name == "leases" || r.Name == "componentstatuses" {
				continue
			}
			all, err := client.Resource(gv.WithResource(r.Name)).List(t.Context(), metav1.ListOptions{})
			if err != nil {
				t.Fatalf("listing %s: %v", r.Name, err)
			}
			for _, o := range all.Items {
				objects = append(objects, gv.WithResource(r.Name).GroupResource().String()+" "+o.GetNamespace()+"/"+o.GetName())
			}
		}
	}
	slices.Sort(objects)
	return objects
}

// With FALCOTEST_KEEP=1, what was created stays, with labels to find it by.
func TestLiveKeep(t *testing.T) {
	c := live(t)
	t.Setenv("FALCOTEST_KEEP", "1")
	if err := newHelper(c.Kubeconfig()).run(t, "k8saudit.K8sConfigMapCreated", "kept"); err != nil {
		t.Fatal(err)
	}
	client, err := dynamic.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	maps, err := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).
		List(t.Context(), metav1.ListOptions{LabelSelector: "falcotest.io/id=kept"})
	if err != nil {
		t.Fatal(err)
	}
	if len(maps.Items) != 1 {
		t.Fatalf("%d configmaps, want 1", len(maps.Items))
	}
	want := map[string]string{
		"app.kubernetes.io/part-of": "falcotest",
		"falcotest.io/rule":         "K8sConfigMapCreated",
		"falcotest.io/id":           "kept",
	}
	if d := cmp.Diff(want, maps.Items[0].GetLabels()); d != "" {
		t.Errorf("labels (-want +got):\n%s", d)
	}
}

// A second run under the same id finds its objects there already, says so, and
// does not delete what is not its own.
func TestLiveFailure(t *testing.T) {
	c := live(t)
	const name = "k8saudit.K8sConfigMapCreated"
	t.Setenv("FALCOTEST_KEEP", "1")
	if err := newHelper(c.Kubeconfig()).run(t, name, "twice"); err != nil {
		t.Fatal(err)
	}
	t.Setenv("FALCOTEST_KEEP", "")
	err := newHelper(c.Kubeconfig()).run(t, name, "twice")
	const want = `creating configmaps/falcotest-twice in namespace default, object 1 of 1 of yaml/k8s-config-map-created.yaml: configmaps "falcotest-twice" already exists`
	if err == nil || err.Error() != want {
		t.Errorf("error %v\nwant  %s", err, want)
	}
	if !slices.ContainsFunc(c.objects(t), func(o string) bool { return o == "configmaps default/falcotest-twice" }) {
		t.Error("the first run's object is gone")
	}
}

// When one of several objects cannot be created, those before it are deleted.
func TestLivePartialFailure(t *testing.T) {
	c := live(t)
	before := c.objects(t)
	h := newHelper(c.Kubeconfig())
	err := k8saudit.Create(h, `
apiVersion: v1
kind: ConfigMap
metadata: {name: first}
---
apiVersion: v1
kind: Secret
metadata: {name: second, namespace: kube-system}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: third, namespace: nowhere}
`)
	const want = `creating configmaps/third in namespace nowhere, object 3 of 3 of test.yaml: namespaces "nowhere" not found; created before it: secrets/second in namespace kube-system, now deleted; configmaps/first in namespace default, now deleted`
	if err == nil || err.Error() != want {
		t.Errorf("error %v\nwant  %s", err, want)
	}
	if d := cmp.Diff(before, c.objects(t)); d != "" {
		t.Errorf("what is in the cluster (-before +after):\n%s", d)
	}
	err = k8saudit.Create(h, "kind: NoSuchKind\napiVersion: v1\nmetadata: {name: x}\n")
	if err == nil || !strings.Contains(err.Error(), `reading the objects of test.yaml: `) || !strings.Contains(err.Error(), "NoSuchKind") {
		t.Errorf("error %v", err)
	}
}

// What the cluster forbids is a failure that says so.
func TestLiveForbidden(t *testing.T) {
	c := live(t)
	for name, want := range map[string]string{
		"k8saudit.CreatePrivilegedPod":        `creating pods/falcotest-nobody in namespace default, object 1 of 1 of yaml/create-privileged-pod.yaml: pods is forbidden: User "nobody" cannot create resource "pods"`,
		"k8saudit.EphemeralContainersCreated": `pods is forbidden: User "nobody" cannot create resource "pods"`,
		"k8saudit.DisallowedK8sUser":          `User "nobody" cannot create resource "certificatesigningrequests"`,
	} {
		h := newHelper(c.Kubeconfig())
		nobody := "nobody"
		h.flags.Impersonate = &nobody
		if err := h.run(t, name, "nobody"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", name, err, want)
		}
	}
}

// A server that is killed meanwhile is a failure that says so.
func TestLiveServerGone(t *testing.T) {
	live(t)
	c, err := startLive()
	if err != nil {
		t.Fatal(err)
	}
	h := newHelper(c.Kubeconfig())
	if err := h.run(t, "k8saudit.K8sConfigMapCreated", "gone"); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	quiet(t)
	h = newHelper(kubeconfigOf(t, c.Config().Host))
	if err := h.run(t, "k8saudit.K8sConfigMapCreated", "gone"); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("error %v", err)
	}
}
