// SPDX-License-Identifier: Apache-2.0

package falcotest_test

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	_ "github.com/falcotest/go-falcotest/events/k8saudit"
	"github.com/falcotest/go-falcotest/falcotest"
	"github.com/falcotest/go-falcotest/internal/kube"
	"github.com/falcotest/go-falcotest/internal/kube/nodes"
)

// TestOwnCluster works on a cluster that there is, as a user's would be: the
// built-in engine listens where the cluster's audit webhook sends its events,
// and the namespace is made for the run and removed after it.
func TestOwnCluster(t *testing.T) {
	needKube(t)
	listen := "http://" + freeAddress(t)
	c, err := kube.Start(t.Context(), kube.Options{WebhookURL: listen + "/k8s-audit"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	file := write(t, privilegedPod)
	const namespace = "made-for-the-run"
	t.Run("session", func(t *testing.T) {
		s := falcotest.Start(t, falcotest.WithRules(file), falcotest.WithActions("k8saudit.CreatePrivilegedPod"),
			falcotest.WithKubernetes(falcotest.Kubernetes{
				Kubeconfig: c.Kubeconfig(), Namespace: namespace, CreateNamespace: true, AuditListen: listen,
			}))
		r := s.Do(t.Context(), "k8saudit.CreatePrivilegedPod")
		if r.Outcome != falcotest.Detected {
			t.Fatalf("%s: %s\n%v", r.Outcome, r.Reason, r.Log)
		}
		if ns, _ := r.Alerts[0].Field("ka.target.namespace"); ns != namespace {
			t.Errorf("the pod was made in the namespace %q, want %q", ns, namespace)
		}
	})
	client, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	got, err := client.CoreV1().Namespaces().Get(context.Background(), namespace, metav1.GetOptions{})
	if err == nil && got.DeletionTimestamp == nil {
		t.Error("the namespace is still there")
	} else if err != nil && !apierrors.IsNotFound(err) {
		t.Error(err)
	}
}

// freeAddress returns a loopback address that nobody listened on a moment ago.
func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

const podRequests = `
- rule: Attach/Exec Pod
  desc: someone works in a pod
  condition: ka.target.resource=pods and ka.target.subresource in (exec, attach)
  output: "%ka.target.subresource is answered with %ka.response.code"
  priority: NOTICE
  source: k8s_audit
- rule: port-forward
  desc: someone connects to a pod
  condition: ka.target.resource=pods and ka.target.subresource=portforward
  output: "%ka.target.subresource is answered with %ka.response.code"
  priority: NOTICE
  source: k8s_audit
`

// Where the cluster that is started has nodes, actions work in pods that run: the
// API server does not only answer that it cannot.
func TestKubernetesNodes(t *testing.T) {
	needKube(t)
	if err := nodes.Available(); err != nil {
		if os.Getenv("CI") != "" && errors.Is(err, nodes.ErrMissing) {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	s := falcotest.Start(t, falcotest.WithRules(write(t, podRequests)), falcotest.WithDisabledActions(),
		falcotest.WithKubernetes(falcotest.Kubernetes{Nodes: 1}))
	for action, want := range map[string]string{
		"k8saudit.AttachExecPod": "exec is answered with 101",
		"k8saudit.PortForward":   "portforward is answered with 101",
	} {
		r := s.Do(t.Context(), action)
		if r.Outcome != falcotest.Detected {
			t.Errorf("%s: %s: %s\n%v", action, r.Outcome, r.Reason, r.Log)
			continue
		}
		if !strings.Contains(r.Alerts[0].Output, want) {
			t.Errorf("%s: alert %q, want %q", action, r.Alerts[0].Output, want)
		}
	}
}
