// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package nodes

import (
	"context"
	"fmt"
	"io"
	"net"
	"runtime"

	"k8s.io/client-go/dynamic"

	"github.com/falcotest/go-falcotest/internal/kube"
	"github.com/falcotest/go-falcotest/internal/kube/process"
)

type tools struct{ init string }

func findTools() (tools, error) { return tools{}, Available() }

// Available says why no node can run on this machine.
func Available() error {
	return fmt.Errorf("%w: a node needs Linux, and this is %s", ErrUnavailable, runtime.GOOS)
}

// A Node is a real node of a test cluster; there is none on this system.
type Node struct {
	cluster *kube.Cluster
	client  dynamic.Interface
	tools   tools
	address net.IP
	log     io.Writer
	process *process.Process
}

// Name returns the node's name.
func (n *Node) Name() string { return n.address.String() }

// Path returns a path.
func (n *Node) Path(path string) string { return path }

// Import does nothing.
func (n *Node) Import(context.Context, string) error { return Available() }

// Kill does nothing.
func (n *Node) Kill() error { return Available() }

// Stop does nothing.
func (n *Node) Stop(ctx context.Context) error { return n.leave(ctx) }

func (n *Node) start(context.Context) error { return Available() }
func (n *Node) stop() error                 { return nil }
