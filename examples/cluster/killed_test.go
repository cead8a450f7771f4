// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cluster_test

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/falcotest/go-falcotest/internal/report"
)

// driver is the test binary as go test makes it, for runs that are killed.
func (b *bed) driver(t testing.TB) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "driver.test")
	cmd := exec.Command("go", "test", "-c", "-o", file, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return file
}

// begin starts a run on the nodes.
func (b *bed) begin(t testing.TB, program string, env ...string) (*exec.Cmd, *strings.Builder) {
	t.Helper()
	cmd := exec.Command(program, "-test.run=^TestRules$", "-test.v", "-test.count=1")
	cmd.Env = append(append(b.environ(), env...), "FALCOTEST_TIMEOUT=10s")
	said := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	return cmd, said
}

// outcomes are those of a report, by rule and node.
func (b *bed) outcomes(t testing.TB, file string) map[string]map[string]string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	doc, err := report.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]map[string]string{}
	for _, s := range doc.Runs[0].Spread {
		all[s.Rule] = s.Outcomes
	}
	return all
}

// never checks that no rule is said to be missed, and returns how often one was detected.
func (b *bed) never(t testing.TB, file string) (detected map[string]int) {
	t.Helper()
	detected = map[string]int{}
	for rule, outcomes := range b.outcomes(t, file) {
		for node, outcome := range outcomes {
			switch outcome {
			case "detected":
				detected[node]++
			case "inconclusive":
			default:
				t.Errorf("%s on %s: %s", rule, node, outcome)
			}
		}
	}
	return detected
}

// running waits until a pod of a run runs on a node.
func (b *bed) running(t testing.TB, node string) *corev1.Pod {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	w, err := b.client.CoreV1().Pods(namespace).Watch(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=" + node})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	for e := range w.ResultChan() {
		if p, ok := e.Object.(*corev1.Pod); ok && e.Type != watch.Deleted && p.Status.Phase == corev1.PodRunning {
			return p
		}
	}
	t.Fatalf("no pod ran on %s", node)
	return nil
}

// wait waits for the end of a run.
func wait(t testing.TB, cmd *exec.Cmd, said *strings.Builder, within time.Duration) {
	t.Helper()
	timer := time.AfterFunc(within, func() { cmd.Process.Kill() })
	cmd.Wait()
	if !timer.Stop() {
		t.Fatalf("it did not end within %s:\n%s", within, said)
	}
}

// kills is how often a driver is killed: 20 times take minutes.
func kills() int {
	if n, err := strconv.Atoi(os.Getenv("CLUSTER_KILLS")); err == nil {
		return n
	}
	return 4
}

// TestKilled kills what takes part in a run. Whatever is killed, nothing is left in the
// cluster, and no rule is said to be missed.
func TestKilled(t *testing.T) {
	b := lay(t, 3)
	for _, node := range b.nodes {
		(&falco{version: "0.43.1", slow: 2 * time.Second}).serve(t, node)
	}
	program := b.driver(t)
	before := b.objects(t)
	same := func(t *testing.T) {
		t.Helper()
		if diff := cmp.Diff(before, b.objects(t)); diff != "" {
			t.Errorf("what is in the cluster: %s", diff)
		}
	}
	file := filepath.Join(t.TempDir(), "report.json")

	began := time.Now()
	cmd, said := b.begin(t, program, "FALCOTEST_REPORT="+file)
	wait(t, cmd, said, 3*time.Minute)
	whole := time.Since(began)
	if !cmd.ProcessState.Success() {
		t.Fatalf("without a kill:\n%s", said)
	}
	same(t)

	t.Run("interrupt", func(t *testing.T) {
		cmd, said := b.begin(t, program)
		b.running(t, b.nodes[0].Name())
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		wait(t, cmd, said, 2*time.Minute)
		same(t)
	})

	t.Run("driver", func(t *testing.T) {
		for range kills() {
			cmd, _ := b.begin(t, program)
			after := time.Duration(rand.Int64N(int64(whole)))
			timer := time.NewTimer(after)
			<-timer.C
			t.Logf("killed after %s of %s", after.Round(time.Millisecond), whole.Round(time.Millisecond))
			cmd.Process.Kill()
			cmd.Wait()
		}
		b.untilExpired(t)
		cmd, said := b.begin(t, program, "FALCOTEST_REPORT="+file)
		wait(t, cmd, said, 3*time.Minute)
		if !cmd.ProcessState.Success() {
			t.Errorf("the run after those that were killed:\n%s", said)
		}
		same(t)
	})

	t.Run("pod", func(t *testing.T) {
		cmd, said := b.begin(t, program, "FALCOTEST_REPORT="+file)
		pod := b.running(t, b.nodes[1].Name())
		now := int64(0)
		if err := b.client.CoreV1().Pods(namespace).Delete(t.Context(), pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
			t.Fatal(err)
		}
		wait(t, cmd, said, 3*time.Minute)
		detected := b.never(t, file)
		if detected[b.nodes[0].Name()] != 3 || detected[b.nodes[2].Name()] != 3 || !strings.Contains(said.String(), "the node's pod was deleted before it was done") {
			t.Errorf("detected %v:\n%s", detected, said)
		}
		same(t)
	})

	t.Run("connections", func(t *testing.T) {
		p := b.proxy(t)
		defer p.close()
		cmd, said := b.begin(t, program, "FALCOTEST_REPORT="+file, "FALCOTEST_KUBECONFIG="+p.kubeconfig)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			wait(t, cmd, said, 3*time.Minute)
		}()
		for open := true; open; {
			timer := time.NewTimer(time.Duration(200+rand.IntN(600)) * time.Millisecond)
			select {
			case <-timer.C:
				p.cut()
			case <-ended:
				open = false
			}
		}
		if !cmd.ProcessState.Success() {
			t.Errorf("with connections that broke %d times:\n%s", p.cuts, said)
		}
		if p.cuts == 0 {
			t.Error("no connection broke")
		}
		same(t)
	})

	t.Run("API server away", func(t *testing.T) {
		p := b.proxy(t)
		defer p.close()
		cmd, said := b.begin(t, program, "FALCOTEST_REPORT="+file, "FALCOTEST_KUBECONFIG="+p.kubeconfig)
		b.running(t, b.nodes[0].Name())
		p.away(5 * time.Second)
		wait(t, cmd, said, 3*time.Minute)
		if !cmd.ProcessState.Success() {
			t.Errorf("it failed:\n%s", said)
		}
		same(t)
	})

	t.Run("node", func(t *testing.T) {
		cmd, said := b.begin(t, program, "FALCOTEST_REPORT="+file, "FALCOTEST_NODES_DEADLINE=60s")
		b.running(t, b.nodes[2].Name())
		if err := b.nodes[2].Kill(); err != nil {
			t.Fatal(err)
		}
		wait(t, cmd, said, 5*time.Minute)
		detected := b.never(t, file)
		if detected[b.nodes[0].Name()] != 3 || detected[b.nodes[1].Name()] != 3 || !strings.Contains(said.String(), "the node is not ready") {
			t.Errorf("detected %v:\n%s", detected, said)
		}
		same(t)
	})

	t.Run("API server", func(t *testing.T) {
		cmd, said := b.begin(t, program, "FALCOTEST_REPORT="+file, "FALCOTEST_NODES_DEADLINE=20s", "FALCOTEST_NODES=kubernetes.io/hostname="+b.nodes[0].Name())
		b.running(t, b.nodes[0].Name())
		if err := b.cluster.Close(); err != nil {
			t.Error(err)
		}
		wait(t, cmd, said, 4*time.Minute)
		b.never(t, file)
	})
}

// untilExpired waits until no run that was killed counts as alive.
func (b *bed) untilExpired(t testing.TB) {
	t.Helper()
	leases, err := b.client.CoordinationV1().Leases(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var last time.Time
	for _, l := range leases.Items {
		if at := l.Spec.RenewTime; at != nil && at.After(last) {
			last = at.Time
		}
	}
	jobs, err := b.client.BatchV1().Jobs(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range jobs.Items {
		if j.CreationTimestamp.After(last) {
			last = j.CreationTimestamp.Time
		}
	}
	timer := time.NewTimer(time.Until(last.Add(62 * time.Second)))
	defer timer.Stop()
	<-timer.C
}

// proxy is a way to the API server that breaks.
type proxy struct {
	kubeconfig string
	listener   net.Listener
	server     string
	work       sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
	until time.Time // the API server is away
	cuts  int
}

func (b *bed) proxy(t testing.TB) *proxy {
	t.Helper()
	u, err := url.Parse(b.cluster.Config().Host)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(b.cluster.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{server: u.Host, kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	if p.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.kubeconfig, []byte(strings.ReplaceAll(string(data), u.Host, p.listener.Addr().String())), 0o600); err != nil {
		t.Fatal(err)
	}
	p.work.Go(func() {
		for {
			conn, err := p.listener.Accept()
			if err != nil {
				return
			}
			p.work.Go(func() { p.carry(conn) })
		}
	})
	return p
}

func (p *proxy) carry(conn net.Conn) {
	defer conn.Close()
	p.mu.Lock()
	away := time.Now().Before(p.until)
	p.mu.Unlock()
	if away {
		return
	}
	to, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer to.Close()
	p.mu.Lock()
	p.conns = append(p.conns, conn, to)
	p.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(to, conn)
		to.Close()
	}()
	io.Copy(conn, to)
	conn.Close()
	<-done
}

// cut breaks the connections that there are.
func (p *proxy) cut() {
	p.mu.Lock()
	conns := p.conns
	p.conns = nil
	if len(conns) > 0 {
		p.cuts++
	}
	p.mu.Unlock()
	for _, c := range conns {
		c.Close()
	}
}

// away breaks them, and lets no others through for a while.
func (p *proxy) away(d time.Duration) {
	p.mu.Lock()
	p.until = time.Now().Add(d)
	p.mu.Unlock()
	p.cut()
}

func (p *proxy) close() {
	p.listener.Close()
	p.cut()
	p.work.Wait()
}
