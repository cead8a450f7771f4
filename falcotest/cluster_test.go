// SPDX-License-Identifier: Apache-2.0

package falcotest_test

import (
	"context"
	"net"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	_ "github.com/falcotest/go-falcotest/events/k8saudit"
	"github.com/falcotest/go-falcotest/falcotest"
	"github.com/falcotest/go-falcotest/internal/kube"
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
