// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/falcotest/go-falcotest/internal/kube"
)

// startCluster starts an API server, or skips the test where there is none to
// start. In CI there must be one.
func startCluster(t *testing.T) *rest.Config {
	t.Helper()
	_, err := kube.Find()
	switch {
	case err == nil:
	case errors.Is(err, kube.ErrNoBinaries) && os.Getenv("CI") == "":
		t.Skip(err)
	default:
		t.Fatal(err)
	}
	c, err := kube.Start(context.Background(), kube.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c.Config()
}

// warnings keeps what the API server warns of.
type warnings struct {
	mu   sync.Mutex
	text []string
}

func (w *warnings) HandleWarningHeader(_ int, _ string, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, text)
}

func (w *warnings) take() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer func() { w.text = nil }()
	return strings.Join(w.text, "\n")
}

// A real API server takes every object as it is, and refuses the pods in
// namespaces of another level, which is said so that it can be mended.
func TestAPIServerTakesIt(t *testing.T) {
	config := startCluster(t)
	var warned warnings
	config.WarningHandler = &warned
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	for _, level := range []string{"restricted", "baseline", "privileged"} {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: level, Labels: map[string]string{podSecurity: level}}}
		if _, err := client.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	dry := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict}
	for name, o := range runs {
		t.Run(name, func(t *testing.T) {
			own := o
			own.Namespace, own.CreateNamespace = "own", true
			_, err := client.CoreV1().Namespaces().Create(t.Context(), Namespace(own), dry)
			check(t, "the namespace", err)
			for _, level := range []string{"restricted", "baseline", "privileged"} {
				t.Run(level, func(t *testing.T) {
					o := o
					o.Namespace, o.CreateNamespace = level, false
					_, err = client.CoordinationV1().Leases(level).Create(t.Context(), Lease(o, "host:1", time.Minute, time.Now()), dry)
					check(t, "the lease", err)
					for _, account := range []*corev1.ServiceAccount{ServiceAccount(o), DriverAccount(o)} {
						_, err = client.CoreV1().ServiceAccounts(level).Create(t.Context(), account, dry)
						check(t, "the account", err)
					}
					if s := Service(o); s != nil {
						_, err = client.CoreV1().Services(level).Create(t.Context(), s, dry)
						check(t, "the service", err)
					}
					_, err = client.RbacV1().ClusterRoles().Create(t.Context(), ClusterRole(o), dry)
					check(t, "the cluster role", err)
					who := rbacv1.Subject{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "driver"}
					for _, role := range Roles(o) {
						_, err = client.RbacV1().Roles(role.Namespace).Create(t.Context(), role, dry)
						check(t, "the role", err)
						_, err = client.RbacV1().RoleBindings(role.Namespace).Create(t.Context(), RoleBinding(role, who), dry)
						check(t, "the role binding", err)
					}
					_, err = client.RbacV1().ClusterRoleBindings().Create(t.Context(), ClusterRoleBinding(who), dry)
					check(t, "the cluster role binding", err)
					warned.take()
					_, err = client.BatchV1().Jobs(level).Create(t.Context(), Anchor(o, time.Hour), dry)
					check(t, "the job that owns all", err)

					allowed := level == "privileged" || level == o.Level()
					warned.take()
					_, err = client.BatchV1().Jobs(level).Create(t.Context(), Job(o, "worker-7"), dry)
					check(t, "the job", err)
					refused(t, o, "the warning of the job", warned.take(), allowed)

					// As the Job's controller makes it; the account is checked by no
					// API server of this test.
					pod := &corev1.Pod{ObjectMeta: Job(o, "worker-7").Spec.Template.ObjectMeta, Spec: Job(o, "worker-7").Spec.Template.Spec}
					pod.Name = "worker-7"
					_, err = client.CoreV1().Pods(level).Create(t.Context(), pod, dry)
					said := ""
					if err != nil {
						said = err.Error()
					}
					refused(t, o, "the pod", said, allowed)
				})
			}
		})
	}
}

func check(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Errorf("%s is refused: %v", what, err)
	}
}

func refused(t *testing.T, o Options, what, said string, allowed bool) {
	t.Helper()
	sentence, ok := Refused(o, said)
	if ok == allowed || allowed && said != "" {
		t.Fatalf("%s in a namespace of the level %s: %q", what, o.Namespace, said)
	}
	if want := "They need \"" + o.Level() + "\""; !allowed && !strings.Contains(sentence, want) {
		t.Errorf("%s: %s does not say %q", what, sentence, want)
	}
}
