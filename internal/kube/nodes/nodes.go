// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"github.com/falcotest/go-falcotest/internal/kube"
	"github.com/falcotest/go-falcotest/internal/kube/process"
	"github.com/falcotest/go-falcotest/internal/kube/programs"
)

//go:embed init/*.go
var source embed.FS

// Init is the first process of nodes and pods. It takes seconds to build, which
// [Grow] does where it is missing.
var Init = programs.Program{Name: "node-init", What: "the first process of nodes", Source: initFolder(), Main: []string{"groups.go", "main.go", "network.go", "node.go", "pod.go"}}

func initFolder() fs.FS {
	f, err := fs.Sub(source, "init")
	if err != nil {
		panic("nodes: " + err.Error()) // the name is a valid path
	}
	return f
}

// readyWithin is how long a node may take to be ready. It takes two seconds on an
// idle machine.
const readyWithin = 2 * time.Minute

var nodeKind = schema.GroupVersionResource{Version: "v1", Resource: "nodes"}

// ErrUnavailable is wrapped by errors that say why there can be no nodes on this
// machine.
var ErrUnavailable = errors.New("no node of a cluster can run here")

// ErrMissing is wrapped besides where nothing but programs are missing, which can be
// installed or built.
var ErrMissing = errors.New("programs are missing")

// Grow gives a cluster n more nodes, and waits until they are ready. The cluster
// must have been started with [kube.Options.Nodes]; its Close ends them. Where
// there can be no nodes, the error is that of [Available].
func Grow(ctx context.Context, c *kube.Cluster, n int) ([]*Node, error) {
	tools, err := findTools() // before anything is started
	if err != nil {
		return nil, err
	}
	if tools.init, err = Init.Build(ctx, io.Discard); err != nil {
		return nil, err
	}
	client, err := dynamic.NewForConfig(c.Config())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, readyWithin, fmt.Errorf("not ready within %v", readyWithin))
	defer cancel()
	// Addresses that no other cluster's nodes have, and no server beside them.
	block := [2]byte{byte(1 + rand.IntN(254)), byte(rand.IntN(256))}
	nodes := make([]*Node, n)
	var start errgroup.Group
	for i := range nodes {
		nodes[i] = &Node{cluster: c, client: client, tools: tools, address: net.IPv4(127, block[0], block[1], byte(1+i)), log: c.Log()}
		c.AtClose(nodes[i].stop)
		start.Go(func() error {
			if err := nodes[i].start(ctx); err != nil {
				return fmt.Errorf("starting node %s: %w", nodes[i].Name(), err)
			}
			return nil
		})
	}
	return nodes, start.Wait()
}

// waitReady waits until a node says that it is ready.
func (n *Node) waitReady(ctx context.Context) error {
	last := "it has not registered"
	opts := metav1.ListOptions{FieldSelector: "metadata.name=" + n.Name()}
	err := watchNodes(ctx, n.client, opts, n.process, func(node *unstructured.Unstructured) (ready bool) {
		ready, last = readiness(node)
		return ready
	})
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("waiting until it is ready: %w; %s; it said:\n%s", err, last, n.process.Said)
	}
	return err
}

// watchNodes calls f for nodes, and again when they change, until it returns true
// or a process has ended. API servers end the watches of those who are slow, so it
// watches anew, which starts with all nodes that there are.
func watchNodes(ctx context.Context, client dynamic.Interface, opts metav1.ListOptions, p *process.Process, f func(*unstructured.Unstructured) bool) error {
	for ctx.Err() == nil {
		w, err := client.Resource(nodeKind).Watch(ctx, opts)
		if err != nil {
			return err
		}
		defer w.Stop()
		for open := true; open; {
			select {
			case e, ok := <-w.ResultChan():
				open = ok
				if node, is := e.Object.(*unstructured.Unstructured); is && e.Type != watch.Deleted && f(node) {
					return nil
				}
			case <-p.Done:
				return p.Failure()
			}
		}
	}
	return context.Cause(ctx)
}

// leave removes the node from the cluster.
func (n *Node) leave(ctx context.Context) error {
	err := n.client.Resource(nodeKind).Delete(ctx, n.Name(), metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("removing node %s from the cluster: %w", n.Name(), err)
	}
	return nil
}

// readiness tells whether a node is ready, and what it says of that.
func readiness(node *unstructured.Unstructured) (ready bool, message string) {
	conditions, _, _ := unstructured.NestedSlice(node.Object, "status", "conditions")
	for _, condition := range conditions {
		if c, ok := condition.(map[string]any); ok && c["type"] == "Ready" {
			message, _ = c["message"].(string)
			return c["status"] == "True", message
		}
	}
	return false, "it has registered"
}
