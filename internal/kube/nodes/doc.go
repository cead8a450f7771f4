// SPDX-License-Identifier: Apache-2.0

// Package nodes gives a test cluster nodes: real ones, each a kubelet with a
// containerd of its own, that run pods on this machine, and simulated ones, which
// are many and run nothing.
//
// In a test:
//
//	if err := nodes.Available(); err != nil { // says what is missing
//		t.Skip(err)
//	}
//	c, err := kube.Start(ctx, kube.Options{Nodes: true})
//	…
//	defer c.Close() // ends the nodes, too
//	workers, err := nodes.Grow(ctx, c, 3)
//	…
//	err = workers[0].Import(ctx, "image.tar")
//	err = workers[1].Kill() // the machine is lost
//	client, err := kubernetes.NewForConfig(c.Config())
//
// A node's name is its address, such as 127.81.7.2, on loopback. It is also its
// host name, which pods on the host's network share. Images come from a tar
// (docker save, or an OCI layout), which a pod finds unless its imagePullPolicy is
// Always, or from a registry on loopback without TLS, such as that of
// github.com/google/go-containerregistry/pkg/registry in a httptest.Server. Pods on
// the host's network (hostNetwork) reach all that listens on loopback, such as the
// API server; others have an address that reaches themselves alone. Services are
// not routed.
//
// A node is a PID namespace, a mount namespace, a UTS namespace and a control
// group. All its processes, its pods' included, see one another and nothing else,
// and die with the first of them, which ends when this process does. All that is
// mounted for them is gone then as well. The node's /run, /var/lib and /var/log
// are folders of its own ([Node.Dir]); of the rest of this machine's files it
// sees what there is. What kubelets set in /proc/sys they find set.
//
// The package imports internal/kube, which runs the cluster, internal/kube/programs
// and internal/kube/process, which build and run programs, and internal/journal.
package nodes
