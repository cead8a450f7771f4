// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gotest.tools/v3/poll"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/falcotest/go-falcotest/internal/nodes"
	"github.com/falcotest/go-falcotest/internal/nodes/manifest"
	"github.com/falcotest/go-falcotest/internal/nodes/nodestest"
)

// rarely are the rights that a short run at a new API server does not need: a lease is
// renewed after some seconds, and read where an answer was lost or a namespace was left;
// servers before Kubernetes 1.34 list first what is watched then; pods are deleted of a node
// that was lost.
var rarely = []string{"get leases", "update leases", "list pods", "delete pods"}

// A run can do with the rights that manifest prints, and needs each of them.
func TestRights(t *testing.T) {
	for name, change := range map[string]func(*manifest.Options){
		"in a namespace that there is": func(*manifest.Options) {},
		"listening":                    func(o *manifest.Options) { o.Falco = "http://0.0.0.0:2801/secret" },
		"in a namespace of its own": func(o *manifest.Options) {
			o.Namespace, o.CreateNamespace, o.Falco = o.Namespace+"-own", true, "http://0.0.0.0:2801/secret"
		},
	} {
		t.Run(name, func(t *testing.T) {
			config, client, namespace := cluster(t)
			play(t, config, namespace, 2, func(k *nodestest.Kubelets) {
				run := k.Run
				k.Run = func(ctx context.Context, p *corev1.Pod, out *nodestest.Log) int32 {
					if strings.HasSuffix(p.Spec.NodeName, "2") {
						return 1 // a failure, of which events tell
					}
					return run(ctx, p, out)
				}
			})
			opts, got := options(config, namespace)
			change(&opts.Manifest)
			used := drivenBy(t, client, &opts)
			do(t, opts)
			got.mu.Lock()
			if len(got.failures) != 1 || got.ended != 2 {
				t.Errorf("%d nodes ended, with %v", got.ended, got.failures)
			}
			got.mu.Unlock()
			namespaced, inDefault, everywhere := manifest.Permissions(opts.Manifest)
			for where, list := range map[string][]manifest.Permission{opts.Manifest.Namespace: namespaced, "default": inDefault, "": everywhere} {
				for _, p := range list {
					for _, verb := range p.Verbs {
						right := verb + " " + p.Resources[0]
						if !used(right, where) && !slices.Contains(rarely, right) {
							t.Errorf("to %s in %q is granted, and nobody needs it", right, where)
						}
					}
				}
			}
		})
	}
}

// drivenBy has a run driven by a user with the rights that manifest prints, and returns
// whether it used one.
func drivenBy(t *testing.T, client kubernetes.Interface, opts *nodes.Options) func(right, where string) bool {
	t.Helper()
	ctx := t.Context()
	user := "driver-of-" + opts.Manifest.Run
	who := rbacv1.Subject{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}
	create := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	role := manifest.ClusterRole(opts.Manifest)
	binding := manifest.ClusterRoleBinding(who)
	role.Name, binding.Name, binding.RoleRef.Name = user, user, user
	_, err := client.RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{})
	create(err)
	_, err = client.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{})
	create(err)
	for _, role := range manifest.Roles(opts.Manifest) {
		role.Name = user
		binding := manifest.RoleBinding(role, who)
		binding.Name = user
		_, err := client.RbacV1().Roles(role.Namespace).Create(ctx, role, metav1.CreateOptions{})
		create(err)
		_, err = client.RbacV1().RoleBindings(role.Namespace).Create(ctx, binding, metav1.CreateOptions{})
		create(err)
	}
	namespaced, inDefault, everywhere := manifest.Permissions(opts.Manifest)
	for where, list := range map[string][]manifest.Permission{opts.Manifest.Namespace: namespaced, "default": inDefault, "": everywhere} {
		for _, p := range list {
			effective(t, client, user, where, p)
		}
	}
	opts.Config = rest.CopyConfig(opts.Config)
	opts.Config.Impersonate.UserName = user
	seen := &requests{t: t, rights: map[string]bool{}}
	opts.Config.Wrap(func(to http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			answer, err := to.RoundTrip(r)
			seen.add(r, answer)
			return answer, err
		})
	})
	return func(right, where string) bool {
		seen.mu.Lock()
		defer seen.mu.Unlock()
		if where != "" {
			right += " " + where
		}
		return seen.rights[right]
	}
}

// effective waits until the API server has seen that a user has rights.
func effective(t *testing.T, client kubernetes.Interface, user, namespace string, p manifest.Permission) {
	t.Helper()
	resource, sub, _ := strings.Cut(p.Resources[0], "/")
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: &authorizationv1.ResourceAttributes{
		Namespace: namespace, Verb: p.Verbs[0], Group: p.APIGroups[0], Resource: resource, Subresource: sub,
	}}}
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		answer, err := client.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), review, metav1.CreateOptions{})
		switch {
		case err != nil:
			return poll.Error(err)
		case !answer.Status.Allowed:
			return poll.Continue("%s may not %s %s in %q: %s", user, p.Verbs[0], p.Resources[0], namespace, answer.Status.Reason)
		}
		return poll.Success()
	}, poll.WithTimeout(time.Minute), poll.WithDelay(20*time.Millisecond))
}

// requests are the rights that requests need.
type requests struct {
	t      *testing.T
	mu     sync.Mutex
	rights map[string]bool
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (q *requests) add(r *http.Request, answer *http.Response) {
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if path[0] == "apis" {
		path = path[1:]
	}
	path = path[2:] // group or api, and version
	namespace := ""
	if path[0] == "namespaces" && len(path) > 2 {
		namespace, path = path[1], path[2:]
	}
	resource := path[0]
	if len(path) > 2 {
		resource += "/" + path[2]
	}
	verb := map[string]string{http.MethodPost: "create", http.MethodPut: "update", http.MethodPatch: "patch", http.MethodDelete: "delete", http.MethodGet: "get"}[r.Method]
	switch {
	case len(path) > 1:
	case verb == "delete":
		verb = "deletecollection"
	case verb == "get" && r.URL.Query().Get("watch") != "":
		verb = "watch"
	case verb == "get":
		verb = "list"
	}
	right := strings.TrimSpace(verb + " " + resource + " " + namespace)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.rights[right], q.rights[verb+" "+resource] = true, true
	if answer != nil && answer.StatusCode == http.StatusForbidden {
		q.t.Errorf("the user may not %s", right)
	}
}
