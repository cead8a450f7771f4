// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/falcotest/go-falcotest/internal/kube"
	kubenodes "github.com/falcotest/go-falcotest/internal/kube/nodes"
	"github.com/falcotest/go-falcotest/internal/nodes"
	"github.com/falcotest/go-falcotest/internal/nodes/lines"
	"github.com/falcotest/go-falcotest/internal/nodes/manifest"
	"github.com/falcotest/go-falcotest/internal/report"
)

// simulate starts a cluster with real controllers and so many nodes that run nothing,
// whose pods say what the tests of 93 actions would. In CI there must be one.
func simulate(t testing.TB, count int) (*kube.Cluster, kubernetes.Interface) {
	t.Helper()
	skip := func(err error) {
		t.Helper()
		if os.Getenv("CI") == "" {
			t.Skip(err)
		}
		t.Fatal(err)
	}
	if _, err := kube.FindNodes(); err != nil {
		skip(err)
	}
	c, err := kube.Start(context.Background(), kube.Options{Nodes: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	err = kubenodes.Simulate(t.Context(), c, kubenodes.Simulated{Count: count, Logs: said})
	if errors.Is(err, kubenodes.ErrNoSimulator) {
		skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: manifest.DefaultNamespace}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return c, client
}

const actions = 93

// said writes what a pod says, with a time before each line as kubelets do.
func said(w io.Writer, _, pod, _ string) error {
	run := strings.Split(pod, "-")[1] // falcotest-RUN-NODE-…
	out := lines.NewWriter(stamped{w}, run)
	err := out.Write(&lines.Message{Hello: &lines.Hello{Version: lines.Version, Node: pod}})
	for i := range actions {
		err = errors.Join(err, out.Write(&lines.Message{Result: &lines.Result{Path: []string{fmt.Sprintf("syscall.Action%d", i)}, Row: report.Row{
			Rule: fmt.Sprintf("Rule %d of a set of rules", i), Action: fmt.Sprintf("syscall.Action%d", i), Outcome: "detected", Priority: "Warning",
			Correlation: "environment", Latency: time.Millisecond, Ran: time.Millisecond, Attempts: 1, File: "rules/rules.yaml", Line: i,
			Alerts: []report.Alert{{Rule: "R", Priority: "Warning", Output: strings.Repeat("the output of an alert ", 12)}},
		}, Text: `detected: Warning "Rule of a set of rules" after 1ms, correlated by environment`}}))
	}
	return errors.Join(err, out.Write(&lines.Message{End: &lines.End{Results: actions}}))
}

// stamped puts the time before lines.
type stamped struct{ w io.Writer }

func (s stamped) Write(p []byte) (int, error) {
	_, err := fmt.Fprintf(s.w, "%s %s", time.Now().UTC().Format(time.RFC3339Nano), p)
	return len(p), err
}

// Of a run that was killed nothing stays, though nobody comes to delete it: neither
// Jobs nor what their owner owns.
func TestNobodyComes(t *testing.T) {
	defer nodes.SetGrace(2 * time.Second)()
	c, client := simulate(t, 5)
	ctx, kill := context.WithCancel(t.Context())
	r, err := nodes.Prepare(ctx, nodes.Options{Config: c.Config(), Handle: func(string, *lines.Message) {},
		Manifest: manifest.Options{Image: "none", Falco: "http://0.0.0.0:2801/secret", Deadline: 3 * time.Second, Keep: time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	r.Go()
	r.Wait()
	kill()
	w, err := client.CoreV1().Services(manifest.DefaultNamespace).Watch(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=" + manifest.ServiceName, ResourceVersion: "0"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	bound := time.AfterFunc(2*time.Minute, w.Stop)
	defer bound.Stop()
	gone := false
	for e := range w.ResultChan() {
		if e.Type == "DELETED" {
			gone = true
			break
		}
	}
	if !gone {
		t.Error("the Service is still there")
	}
	// The garbage collector deletes what has one owner at about the same time.
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		left := remains(t, client)
		if len(left) == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("left behind: %v", left)
		}
	}
}

func remains(t testing.TB, client kubernetes.Interface) (left []string) {
	t.Helper()
	ctx, of := context.WithoutCancel(t.Context()), metav1.ListOptions{LabelSelector: manifest.LabelRun}
	jobs, err := client.BatchV1().Jobs("").List(ctx, of)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range jobs.Items {
		left = append(left, "job "+o.Name)
	}
	pods, err := client.CoreV1().Pods("").List(ctx, of)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range pods.Items {
		left = append(left, "pod "+o.Name)
	}
	leases, err := client.CoordinationV1().Leases("").List(ctx, of)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range leases.Items {
		left = append(left, "lease "+o.Name)
	}
	accounts, err := client.CoreV1().ServiceAccounts("").List(ctx, of)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range accounts.Items {
		left = append(left, "account "+o.Name)
	}
	services, err := client.CoreV1().Services("").List(ctx, of)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range services.Items {
		left = append(left, "service "+o.Name)
	}
	return left
}

// A run makes a namespace of its own, deletes it at the end, and deletes one that a run
// left that was killed.
func TestOwnNamespace(t *testing.T) {
	const alive = 20 * time.Second // for which what has just been made is left alone
	defer nodes.SetLease(alive)()
	c, client := simulate(t, 2)
	opts := nodes.Options{Config: c.Config(), Handle: func(string, *lines.Message) {}, Logf: t.Logf,
		Manifest: manifest.Options{Image: "none", Namespace: "made-for-it", CreateNamespace: true}}
	left, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "left", Labels: manifest.Options{Run: "dead"}.Labels()}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := nodes.Prepare(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nodes.Prepare(t.Context(), opts); err == nil || !strings.Contains(err.Error(), "there is one already") {
		t.Errorf("another run at the same time: %v", err)
	}
	r.Go()
	r.Wait()
	if err := r.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := client.CoreV1().Namespaces().Get(t.Context(), "made-for-it", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the namespace after the run: %v", err)
	}
	if left := remains(t, client); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	// It was made too short a time ago to be swept by the first run.
	timer := time.NewTimer(time.Until(left.CreationTimestamp.Add(alive + 2*time.Second)))
	defer timer.Stop()
	<-timer.C
	do(t, opts)
	if _, err := client.CoreV1().Namespaces().Get(t.Context(), "left", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the namespace that a run left: %v", err)
	}
}

// BenchmarkNodes runs on simulated nodes, and tells the driver's memory and requests
// for each. The server of the pods' logs is in this process, too.
func BenchmarkNodes(b *testing.B) {
	for _, count := range []int{10, 100, 300, 1000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			c, client := simulate(b, count)
			for b.Loop() {
				kept := map[string][]*lines.Message{}
				var ended, failed atomic.Int32
				lock := make(chan struct{}, 1)
				opts := nodes.Options{Config: c.Config(), Parallel: 100, Manifest: manifest.Options{Image: "none"},
					Handle: func(node string, m *lines.Message) {
						lock <- struct{}{}
						kept[node] = append(kept[node], m)
						<-lock
					},
					Ended: func(node string, f *nodes.Failure) {
						ended.Add(1)
						if f != nil && failed.Add(1) < 5 {
							b.Errorf("%s: %v", node, f)
						}
					},
				}
				before, stop := heap(), make(chan struct{})
				most := make(chan uint64)
				go func() {
					var peak uint64
					tick := time.NewTicker(100 * time.Millisecond)
					defer tick.Stop()
					for {
						select {
						case <-tick.C:
							peak = max(peak, heap())
						case <-stop:
							most <- peak
							return
						}
					}
				}()
				began := time.Now()
				r, err := nodes.Prepare(b.Context(), opts)
				if err != nil {
					b.Fatal(err)
				}
				r.Go()
				r.Wait()
				judged := time.Since(began)
				close(stop)
				peak := <-most
				if err := r.Close(b.Context()); err != nil {
					b.Error(err)
				}
				whole := time.Since(began)
				n := 0
				for _, list := range kept {
					n += len(list)
				}
				if want := count * (actions + 2); n != want || int(ended.Load()) != count {
					b.Errorf("%d messages of %d, and %d nodes ended", n, want, ended.Load())
				}
				if left := remains(b, client); len(left) > 0 {
					b.Errorf("left behind: %d", len(left))
				}
				b.ReportMetric(judged.Seconds(), "s-judged")
				b.ReportMetric(whole.Seconds(), "s-whole")
				b.ReportMetric(float64(max(peak, before)-before)/float64(count)/1024, "KiB/node")
				runtime.KeepAlive(kept)
			}
		})
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
