// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Node is a node as its kubelet describes it.
type Node struct {
	Name         string
	Kernel       string
	Architecture string
	OSImage      string
	Runtime      string // such as containerd://1.7.20
	Kubelet      string
	Labels       map[string]string
}

// describe takes what is kept of a node.
func describe(n *corev1.Node) *Node {
	i := n.Status.NodeInfo
	return &Node{
		Name: n.Name, Kernel: i.KernelVersion, Architecture: i.Architecture, OSImage: i.OSImage,
		Runtime: i.ContainerRuntimeVersion, Kubelet: i.KubeletVersion, Labels: n.Labels,
	}
}

// unready says why a node is not ready, "" if it is.
func unready(n *corev1.Node) string {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			if c.Status == corev1.ConditionTrue {
				return ""
			}
			return fmt.Sprintf("%s: %s", c.Reason, c.Message)
		}
	}
	return "its kubelet has not said that it is ready"
}

// selectNodes lists the nodes that a selector selects, by name, in pieces.
func (r *Run) selectNodes(ctx context.Context) error {
	opts, found := metav1.ListOptions{LabelSelector: r.opts.Selector, Limit: 500}, 0
	for {
		list, err := r.core.Nodes().List(ctx, opts)
		if err != nil {
			return r.refused(err, "listing the cluster's nodes")
		}
		for i := range list.Items {
			n := &list.Items[i]
			if found++; r.opts.Wanted != nil && !r.opts.Wanted(n.Name) {
				continue
			}
			r.nodes = append(r.nodes, &state{Node: describe(n), unready: unready(n), changed: make(chan struct{}, 1)})
		}
		if opts.Continue = list.Continue; opts.Continue == "" {
			break
		}
	}
	if found == 0 && r.opts.Selector != "" {
		return fmt.Errorf("selecting nodes: no node of the cluster has labels as %q selects them; `kubectl get nodes --show-labels` lists what there is", r.opts.Selector)
	}
	if found == 0 {
		return fmt.Errorf("selecting nodes: the cluster has no node")
	}
	slices.SortFunc(r.nodes, func(a, b *state) int { return cmp.Compare(a.Name, b.Name) })
	for _, n := range r.nodes {
		n.job = r.opts.Manifest.JobName(n.Name)
		r.byJob[n.job], r.byNode[n.Name] = n, n
	}
	return nil
}
