// SPDX-License-Identifier: Apache-2.0

package falcotest

import "github.com/falcotest/go-falcotest/internal/config"

// Kubernetes says which cluster the actions on Kubernetes work on. The zero
// value is a real etcd and kube-apiserver, started on loopback for this test
// binary and stopped at its end, whose audit events the built-in engine judges.
// Their programs are found by KUBEBUILDER_ASSETS, in setup-envtest's folder, or
// where this command builds them, once:
//
//	go run github.com/falcotest/go-falcotest/falcotest/cmd/falcotest apiserver
//
// Without them the actions are skipped, or fail where CI is set.
type Kubernetes struct {
	// Kubeconfig and Context name a cluster that there is. If one of them is
	// set, no API server is started. An empty Kubeconfig then means KUBECONFIG
	// or ~/.kube/config, and an empty Context the file's current one.
	Kubeconfig, Context string

	// Namespace is where actions work that do not need one of their own: that
	// of the context if empty.
	Namespace string

	// CreateNamespace creates the namespace and deletes it at the end.
	CreateNamespace bool

	// AuditListen is where the built-in engine listens for the audit events of
	// a cluster that there is, by URL: http://127.0.0.1:9765, or
	// https://0.0.0.0:9765?cert=FILE&key=FILE&token=SECRET, of which the token
	// may be left out. The cluster's audit webhook has to name it.
	AuditListen string

	// AuditWebhook is the URL of a Falco's k8saudit plugin, such as
	// http://127.0.0.1:9765/k8s-audit, that the audit events of the API server
	// which is started go to as well, where it is this Falco that judges. Empty
	// is right for a Falco started by exec: its plugin says by its open
	// parameters (Exec.Plugins) where it listens.
	AuditWebhook string

	// Nodes is how many nodes the cluster has that is started, on which pods run:
	// then actions execute commands in real pods, attach to them and forward their
	// ports. A node is a kubelet and a containerd on this machine, in namespaces
	// of their own; it needs Linux, root, containerd and runc, and
	//
	//	go run github.com/falcotest/go-falcotest/falcotest/cmd/falcotest apiserver -nodes
	//
	// Without them the actions are skipped, or fail where CI is set. The default
	// is 0: pods are objects that nothing runs, and the API server's answer to
	// such requests is that it cannot, which is the same to Falco's rules.
	Nodes int

	// Keep leaves what actions made in the cluster, with labels to find it by.
	Keep bool
}

// WithKubernetes says which cluster the actions on Kubernetes work on.
func WithKubernetes(k Kubernetes) Option {
	return func(c *settings) { c.Kubernetes = config.Kubernetes(k) }
}
