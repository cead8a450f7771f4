// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/falcotest/go-falcotest/internal/kube"
	"github.com/falcotest/go-falcotest/internal/nodes"
	"github.com/falcotest/go-falcotest/internal/nodes/lines"
	"github.com/falcotest/go-falcotest/internal/nodes/manifest"
	"github.com/falcotest/go-falcotest/internal/nodes/nodestest"
	"github.com/falcotest/go-falcotest/internal/report"
	"github.com/falcotest/go-falcotest/internal/source/k8saudit/audit"
)

// server is one API server for the tests of this package.
var server struct {
	sync.Mutex
	cluster *kube.Cluster
}

func TestMain(m *testing.M) {
	code := m.Run()
	if server.cluster != nil {
		if err := server.cluster.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// cluster returns the API server, with a namespace of the test's own.
func cluster(t testing.TB) (*rest.Config, kubernetes.Interface, string) {
	t.Helper()
	_, err := kube.Find()
	switch {
	case err == nil:
	case errors.Is(err, kube.ErrNoBinaries) && os.Getenv("CI") == "":
		t.Skip(err)
	default:
		t.Fatal(err)
	}
	server.Lock()
	defer server.Unlock()
	if server.cluster == nil {
		if server.cluster, err = kube.Start(context.Background(), kube.Options{Handle: func(*audit.Event) {}}); err != nil {
			t.Fatal(err)
		}
	}
	client, err := kubernetes.NewForConfig(server.cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	ns, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "t-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return server.cluster.Config(), client, ns.Name
}

// play plays nodes whose names begin with that of the namespace.
func play(t testing.TB, config *rest.Config, namespace string, count int, tune func(*nodestest.Kubelets)) *nodestest.Kubelets {
	t.Helper()
	var names []string
	for i := range count {
		names = append(names, fmt.Sprintf("%s-%03d", namespace, i+1))
	}
	k, err := nodestest.New(context.WithoutCancel(t.Context()), config, names...)
	if err != nil {
		t.Fatal(err)
	}
	k.Run = talk(8, 200)
	k.Label = func(string) map[string]string { return map[string]string{"test": namespace} }
	if tune != nil {
		tune(k)
	}
	c := &nodestest.Controllers{}
	if err := nodestest.Control(context.WithoutCancel(t.Context()), config, c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	t.Cleanup(k.Close)
	if err := k.Begin(); err != nil {
		t.Fatal(err)
	}
	return k
}

// talk is a pod that tells so many results of about that size, with output of its own.
func talk(results, size int) func(context.Context, *corev1.Pod, *nodestest.Log) int32 {
	return func(_ context.Context, p *corev1.Pod, out *nodestest.Log) int32 {
		w := lines.NewWriter(out, p.Labels[manifest.LabelRun])
		w.Write(&lines.Message{Hello: &lines.Hello{Version: lines.Version, Node: p.Spec.NodeName}})
		for i := range results {
			fmt.Fprintf(out, "=== own output %d\n", i)
			w.Write(&lines.Message{Result: &lines.Result{Path: []string{fmt.Sprint(i)}, Row: report.Row{Outcome: "detected"}, Text: strings.Repeat("x", size)}})
		}
		w.Write(&lines.Message{End: &lines.End{Results: results}})
		return 0
	}
}

// told is what came of the nodes.
type told struct {
	mu       sync.Mutex
	messages map[string][]*lines.Message
	failures map[string]*nodes.Failure
	ended    int
}

func options(config *rest.Config, namespace string) (nodes.Options, *told) {
	got := &told{messages: map[string][]*lines.Message{}, failures: map[string]*nodes.Failure{}}
	return nodes.Options{
		Config: config, Selector: "test=" + namespace,
		Manifest: manifest.Options{Namespace: namespace, Image: "none", Run: nodes.NewID()},
		Handle: func(node string, m *lines.Message) {
			got.mu.Lock()
			defer got.mu.Unlock()
			got.messages[node] = append(got.messages[node], m)
		},
		Ended: func(node string, f *nodes.Failure) {
			got.mu.Lock()
			defer got.mu.Unlock()
			got.ended++
			if f != nil {
				got.failures[node] = f
			}
		},
	}, got
}

// do runs it all, and returns when everything is deleted.
func do(t testing.TB, opts nodes.Options) {
	t.Helper()
	opts.Logf = t.Logf
	r, err := nodes.Prepare(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	r.Go()
	r.Wait()
	if err := r.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
}

// empty checks that nothing of any run is left in a namespace.
func empty(t testing.TB, client kubernetes.Interface, namespace string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	var left []string
	jobs, err := client.BatchV1().Jobs(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range jobs.Items {
		left = append(left, "job "+j.Name)
	}
	pods, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pods.Items {
		left = append(left, "pod "+p.Name)
	}
	leases, err := client.CoordinationV1().Leases(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range leases.Items {
		left = append(left, "lease "+l.Name)
	}
	accounts, err := client.CoreV1().ServiceAccounts(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range accounts.Items {
		if a.Name != "default" {
			left = append(left, "account "+a.Name)
		}
	}
	if len(left) > 0 {
		t.Errorf("left behind: %s", strings.Join(left, ", "))
	}
}

// whole checks that each node told all of its results once, in order.
func (g *told) whole(t testing.TB, count, results int) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	for node, f := range g.failures {
		t.Errorf("%s: %v", node, f)
	}
	if len(g.messages) != count || g.ended != count {
		t.Errorf("%d nodes told something and %d ended, of %d", len(g.messages), g.ended, count)
	}
	var want []string
	for i := range results {
		want = append(want, fmt.Sprint(i))
	}
	for node, list := range g.messages {
		var got []string
		for _, m := range list {
			if m.Result != nil {
				got = append(got, m.Result.Path[0])
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", node, diff)
		}
	}
}

func TestRun(t *testing.T) {
	config, client, namespace := cluster(t)
	var now, most atomic.Int32
	play(t, config, namespace, 7, func(k *nodestest.Kubelets) {
		run := k.Run
		k.Run = func(ctx context.Context, p *corev1.Pod, out *nodestest.Log) int32 {
			n := now.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			defer now.Add(-1)
			return run(ctx, p, out)
		}
	})
	opts, got := options(config, namespace)
	opts.Parallel = 2
	do(t, opts)
	got.whole(t, 7, 8)
	if n := most.Load(); n > 2 {
		t.Errorf("%d pods ran at once, of at most 2", n)
	}
	empty(t, client, namespace)
}

// A connection that breaks anywhere loses no line and repeats none.
func TestBrokenConnections(t *testing.T) {
	config, client, namespace := cluster(t)
	var cuts atomic.Int32
	play(t, config, namespace, 3, func(k *nodestest.Kubelets) {
		k.Run = talk(30, 900) // of some 1,100 bytes each
		k.Cut = func(nth int) int {
			cuts.Store(max(cuts.Load(), int32(nth)))
			return nth*3_333 - 1_000
		}
	})
	opts, got := options(config, namespace)
	do(t, opts)
	got.whole(t, 3, 30)
	if cuts.Load() < 3 {
		t.Errorf("a log was asked for %d times", cuts.Load())
	}
	empty(t, client, namespace)
}

// What keeps a node from being judged is one failure, with what the cluster says.
func TestFailures(t *testing.T) {
	config, client, namespace := cluster(t)
	var k *nodestest.Kubelets
	status := func(p *corev1.Pod, s corev1.PodStatus) bool {
		if err := k.Status(context.WithoutCancel(t.Context()), p, s); err != nil {
			t.Error(err)
		}
		return false
	}
	cases := []struct {
		start func(p *corev1.Pod) bool
		run   func(ctx context.Context, p *corev1.Pod, out *nodestest.Log) int32
		want  string
	}{
		{want: "the pod's own end: exit code 3", run: func(_ context.Context, p *corev1.Pod, out *nodestest.Log) int32 {
			fmt.Fprintln(out, "panic: no")
			return 3
		}},
		{want: "the node's pod ended before it was done: exit code 0", run: func(_ context.Context, p *corev1.Pod, out *nodestest.Log) int32 { return 0 }},
		{want: "the node's pod failed: Evicted: The node was low on resource: memory.", start: func(p *corev1.Pod) bool {
			return status(p, corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted", Message: "The node was low on resource: memory."})
		}},
		{want: "the node's pod cannot run: ErrImageNeverPull: Container image is not present with pull policy of Never", start: func(p *corev1.Pod) bool {
			return status(p, corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{Name: "falcotest", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImageNeverPull", Message: "Container image is not present with pull policy of Never"}}}}})
		}},
		{want: "the node's pod did not run within 2s: ImagePullBackOff: Back-off pulling image", start: func(p *corev1.Pod) bool {
			return status(p, corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{Name: "falcotest", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "Back-off pulling image"}}}}})
		}},
		{want: "the node's pod was deleted before it was done: the node was drained, or somebody deleted it", run: func(ctx context.Context, p *corev1.Pod, out *nodestest.Log) int32 {
			if err := client.CoreV1().Pods(p.Namespace).Delete(context.Background(), p.Name, metav1.DeleteOptions{}); err != nil {
				t.Error(err)
			}
			<-ctx.Done()
			return 0
		}},
		{want: "the node is not ready: NodeStatusUnknown: Kubelet stopped posting node status.", run: func(ctx context.Context, p *corev1.Pod, out *nodestest.Log) int32 {
			if err := k.Ready(p.Spec.NodeName, "Kubelet stopped posting node status."); err != nil {
				t.Error(err)
			}
			<-ctx.Done()
			return 0
		}},
		{want: "the node's Job was not done within 4s", run: func(ctx context.Context, p *corev1.Pod, out *nodestest.Log) int32 {
			<-ctx.Done()
			return 0
		}},
	}
	of := func(p *corev1.Pod) int {
		var i int
		fmt.Sscanf(p.Spec.NodeName[len(namespace):], "-%d", &i)
		return i - 1
	}
	play(t, config, namespace, len(cases), func(it *nodestest.Kubelets) {
		k = it
		k.Start = func(p *corev1.Pod) bool {
			start := cases[of(p)].start
			return start == nil || start(p)
		}
		k.Run = func(ctx context.Context, p *corev1.Pod, out *nodestest.Log) int32 {
			return cases[of(p)].run(ctx, p, out)
		}
	})
	opts, got := options(config, namespace)
	opts.Start, opts.Lost, opts.Manifest.Deadline = 2*time.Second, time.Second, 4*time.Second
	do(t, opts)
	for i, c := range cases {
		f := got.failures[fmt.Sprintf("%s-%03d", namespace, i+1)]
		if f == nil {
			t.Errorf("no failure, want %q", c.want)
			continue
		}
		want := strings.Replace(c.want, "the pod's own end", "the node's pod ended before it was done", 1)
		if !strings.HasPrefix(f.Reason, want) {
			t.Errorf("%q, want %q", f.Reason, want)
		}
		if i == 0 && (len(f.Output) != 1 || f.Output[0] != "panic: no") {
			t.Errorf("the pod's output: %q", f.Output)
		}
	}
	empty(t, client, namespace)
}
