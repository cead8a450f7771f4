// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cluster_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/falcosecurity/client-go/pkg/api/outputs"
	priority "github.com/falcosecurity/client-go/pkg/api/schema"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"
	"gotest.tools/v3/golden"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/falcotest/go-falcotest/internal/kube"
	"github.com/falcotest/go-falcotest/internal/kube/nodes"
	"github.com/falcotest/go-falcotest/internal/report"
	"github.com/falcotest/go-falcotest/internal/serve/servetest"
)

const (
	namespace = "falcotest"
	image     = "falcotest.test/cluster:1"
)

// falco is a Falco that tests play on a node: it sees what actions tell it.
type falco struct {
	version string
	deaf    bool
	slow    time.Duration
	blind   []string // rules that it does not have

	server *servetest.Server
	stop   chan struct{}
	work   sync.WaitGroup
	eyes   net.Listener
}

// serve has the Falco run on a node.
func (f *falco) serve(t testing.TB, node *nodes.Node) {
	t.Helper()
	dir := node.Path("/run/falco")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var err error
	if f.server, err = servetest.Start("unix", filepath.Join(dir, "falco.sock"), servetest.Options{Version: f.version}); err != nil {
		t.Fatal(err)
	}
	if f.eyes, err = net.Listen("unix", filepath.Join(dir, "eyes.sock")); err != nil {
		t.Fatal(err)
	}
	f.stop = make(chan struct{})
	f.work.Go(func() {
		for {
			conn, err := f.eyes.Accept()
			if err != nil {
				return
			}
			f.work.Go(func() { f.see(conn, node.Name()) })
		}
	})
	f.work.Go(func() { f.others(node.Name()) })
	t.Cleanup(func() {
		close(f.stop)
		f.eyes.Close()
		f.work.Wait()
		f.server.Close()
	})
}

// see alerts on what an action tells.
func (f *falco) see(conn net.Conn, host string) {
	defer conn.Close()
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return
	}
	id, rule, _ := strings.Cut(strings.TrimSpace(line), " ")
	at := timestamppb.Now()
	conn.Write([]byte{1})
	if f.deaf || slices.Contains(f.blind, rule) {
		return
	}
	if f.slow > 0 {
		timer := time.NewTimer(f.slow)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-f.stop:
			return
		}
	}
	f.server.Push(&outputs.Response{Time: at, Rule: rule, Priority: priority.Priority_NOTICE, Source: "syscall", Hostname: host,
		Output: "seen: " + rule, OutputFields: map[string]string{"proc.env[FALCOTEST_ID]": id}})
}

// others are alerts of what else happens on the node.
func (f *falco) others(host string) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-f.stop:
			return
		}
		if !f.deaf {
			f.server.Push(&outputs.Response{Time: timestamppb.Now(), Rule: "Something Else", Priority: priority.Priority_NOTICE, Source: "syscall", Hostname: host,
				Output: "something else", OutputFields: map[string]string{"proc.env[FALCOTEST_ID]": ""}})
		}
	}
}

// bed is a cluster of real nodes that have the image of these tests.
type bed struct {
	cluster *kube.Cluster
	client  kubernetes.Interface
	nodes   []*nodes.Node
}

// lay starts a cluster of n nodes, or skips the test where none can run. In CI no
// program may be missing.
func lay(t testing.TB, n int) *bed {
	t.Helper()
	if os.Getenv("FALCOTEST_NODES") != "" || os.Getenv("FALCOTEST_NODE_RUN") != "" || os.Getenv("FALCOTEST_TELL_FILES") != "" {
		t.Skip("this process is part of a run on nodes itself")
	}
	err := nodes.Available()
	switch {
	case err == nil:
	case os.Getenv("CI") == "" || !errors.Is(err, nodes.ErrMissing):
		t.Skip(err)
	default:
		t.Fatal(err)
	}
	tar := makeImage(t)
	b := &bed{}
	if b.cluster, err = kube.Start(context.Background(), kube.Options{Nodes: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.cluster.Close(); err != nil {
			t.Error(err)
		}
	})
	if b.client, err = kubernetes.NewForConfig(b.cluster.Config()); err != nil {
		t.Fatal(err)
	}
	if b.nodes, err = nodes.Grow(t.Context(), b.cluster, n); err != nil {
		t.Fatal(err)
	}
	for _, node := range b.nodes {
		if err := node.Import(t.Context(), tar); err != nil {
			t.Fatal(err)
		}
	}
	_, err = b.client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// makeImage makes the image of these tests, as a user does, and returns it in a file of
// the test's own.
func makeImage(t testing.TB) string {
	t.Helper()
	content, err := imageOnce()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "image.tar")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

var imageOnce = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "falcotest-cluster-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "image.tar")
	cmd := exec.Command("go", "run", "../../falcotest/cmd/falcotest", "image", "-o", file, "-name", image, "-platform", "linux/"+runtime.GOARCH, "-run", "^TestRules$", ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("making the image: %w\n%s", err, said)
	}
	return os.ReadFile(file)
})

// drive runs the tests on the nodes, as a user does, and returns what go test said.
func (b *bed) drive(ctx context.Context, t testing.TB, env ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-run=^TestRules$", "-v", ".")
	cmd.Env = append(append(b.environ(), env...), "FALCOTEST_TIMEOUT=4s")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// environ is the environment of a run on the nodes.
func (b *bed) environ() []string {
	return append(os.Environ(), "CGO_ENABLED=0", "FALCOTEST_NODES=all", "FALCOTEST_NODES_IMAGE="+image, "FALCOTEST_KUBECONFIG="+b.cluster.Kubeconfig(),
		"FALCOTEST_FALCO=unix:///run/falco/falco.sock", "FALCOTEST_TERMINAL=0", "CI=", "GITHUB_ACTIONS=")
}

// objects lists what there is in the cluster that a run could leave.
func (b *bed) objects(t testing.TB) (list []string) {
	t.Helper()
	client, err := dynamic.NewForConfig(b.cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []schema.GroupVersionResource{
		{Version: "v1", Resource: "namespaces"}, {Version: "v1", Resource: "pods"}, {Version: "v1", Resource: "services"},
		{Version: "v1", Resource: "serviceaccounts"}, {Version: "v1", Resource: "configmaps"}, {Version: "v1", Resource: "secrets"},
		{Group: "batch", Version: "v1", Resource: "jobs"}, {Group: "coordination.k8s.io", Version: "v1", Resource: "leases"},
		{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "roles"},
	} {
		found, err := client.Resource(kind).List(context.WithoutCancel(t.Context()), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range found.Items {
			// Those that controllers make, whenever they come to it, are nobody's.
			if strings.HasPrefix(o.GetNamespace(), "kube-") || o.GetName() == "kube-root-ca.crt" || kind.Resource == "serviceaccounts" && o.GetName() == "default" {
				continue
			}
			list = append(list, kind.Resource+" "+o.GetNamespace()+"/"+o.GetName())
		}
	}
	return list
}

// TestCluster runs the tests on three nodes: on one the Falco is slow, on one it is old
// and lacks a rule, and on one it is deaf.
func TestCluster(t *testing.T) {
	b := lay(t, 3)
	for i, f := range []*falco{
		{version: "0.43.1", slow: time.Second},
		{version: "0.38.2", blind: []string{"Look For Other Kernels"}},
		{version: "0.43.1", deaf: true},
	} {
		f.serve(t, b.nodes[i])
	}
	before := b.objects(t)
	file := filepath.Join(t.TempDir(), "report.json")
	said, err := b.drive(t.Context(), t, "FALCOTEST_REPORT="+file)
	if err == nil {
		t.Errorf("a node is deaf, and the tests pass")
	}
	golden.Assert(t, b.stable(t, said), "cluster.txt")
	if diff := cmp.Diff(before, b.objects(t)); diff != "" {
		t.Errorf("what is in the cluster after the run: %s", diff)
	}
	b.compare(t, file, []map[string]string{
		{"Read Node Secret": "detected", "Make File In Memory": "detected", "Look For Other Kernels": "detected"},
		{"Read Node Secret": "detected", "Make File In Memory": "detected", "Look For Other Kernels": "missed"},
		{"Read Node Secret": "inconclusive", "Make File In Memory": "inconclusive", "Look For Other Kernels": "inconclusive"},
	})
}

// compare compares a report's table of rules on nodes.
func (b *bed) compare(t testing.TB, file string, want []map[string]string) {
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
	for i, node := range b.nodes {
		got := map[string]string{}
		for _, s := range doc.Runs[0].Spread {
			got[s.Rule] = s.Outcomes[node.Name()]
		}
		if diff := cmp.Diff(want[i], got); diff != "" {
			t.Errorf("node %d: %s", i+1, diff)
		}
	}
}

var varying = []struct{ what, by string }{
	{`\b\d+(\.\d+)?(µs|ms|s)\b`, "TIME"}, {`\(pid \d+\)`, "(pid N)"}, {`containerd://[^\s,;)]+`, "containerd://V"}, {`  +`, "  "},
}

// stable is what go test said, without what differs from run to run.
func (b *bed) stable(t testing.TB, said string) string {
	t.Helper()
	for i, node := range b.nodes {
		n, err := b.client.CoreV1().Nodes().Get(t.Context(), node.Name(), metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		said = strings.ReplaceAll(said, n.Status.NodeInfo.KernelVersion, "K")
		said = strings.ReplaceAll(said, node.Name(), fmt.Sprintf("worker-%d", i+1))
		said = strings.ReplaceAll(said, regexp.QuoteMeta(node.Name()), fmt.Sprintf("worker-%d", i+1))
	}
	for _, v := range varying {
		said = regexp.MustCompile(v.what).ReplaceAllString(said, v.by)
	}
	return said
}
