// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/falcotest/go-falcotest/internal/journal"
	"github.com/falcotest/go-falcotest/internal/kube"
	"github.com/falcotest/go-falcotest/internal/kube/process"
	"github.com/falcotest/go-falcotest/internal/kube/programs"
)

// SimulatedLabel is the label of simulated nodes; its value is "true".
const SimulatedLabel = "falcotest.test/simulated"

// simulatedAnnotation is how kwok tells its nodes.
const simulatedAnnotation = "kwok.x-k8s.io/node"

// atOnce is how many nodes are made at the same time.
const atOnce = 32

// ErrNoSimulator is returned where there is no kwok to simulate nodes. Its text
// says what to do about it.
var ErrNoSimulator = errors.New("no kwok to simulate nodes: build it by `" + programs.SimulatorCommand + "` (a minute, once)")

// Simulated say how simulated nodes are.
type Simulated struct {
	Count int

	// Logs writes what a container says, all of it: its pod has ended as soon as
	// it ran. Calls may overlap. If nil, containers say nothing.
	Logs func(w io.Writer, namespace, pod, container string) error
}

// Simulate gives a cluster nodes that run nothing, and waits until they are ready:
// there pods run without doing anything, and those of Jobs are complete at once.
// It can be called once for a cluster, which ends the nodes when it is closed.
// They work where there is no Linux and no root, too.
func Simulate(ctx context.Context, c *kube.Cluster, opts Simulated) error {
	program, err := programs.Simulator.Path()
	if err == nil {
		_, err = os.Stat(program)
	}
	if err != nil {
		return ErrNoSimulator
	}
	s := &simulator{cluster: c, program: program, opts: opts}
	c.AtClose(s.stop)
	ctx, cancel := context.WithTimeoutCause(ctx, readyWithin, fmt.Errorf("not ready within %v", readyWithin))
	defer cancel()
	if err := s.start(ctx); err != nil {
		return fmt.Errorf("simulating %d nodes: %w", opts.Count, err)
	}
	return nil
}

// A simulator is kwok, and a server of logs.
type simulator struct {
	cluster *kube.Cluster
	program string
	opts    Simulated

	journal *journal.Dir
	process *process.Process
	logs    http.Server
	serving sync.WaitGroup
}

func (s *simulator) start(ctx context.Context) (err error) {
	if s.journal, err = journal.CreatePrivate("", "kwok-"+rand.Text()[:12]); err != nil {
		return err
	}
	address, err := s.serveLogs()
	if err != nil {
		return fmt.Errorf("serving the logs of pods: %w", err)
	}
	stages := filepath.Join(s.journal.Path(), "stages.yaml")
	s.process, err = process.Start("kwok", exec.Command(s.program, stages,
		"--config="+stages, "--kubeconfig="+s.cluster.Kubeconfig(),
		"--manage-nodes-with-annotation-selector="+simulatedAnnotation+"=fake",
		"--node-ip="+address.IP.String(), "--node-port="+strconv.Itoa(address.Port), "--server-address=127.0.0.1:0",
		"--node-lease-duration-seconds=40", "-v=WARN"), s.cluster.Log())
	if err != nil {
		return err
	}
	client, err := dynamic.NewForConfig(s.cluster.Config())
	if err != nil {
		return err
	}
	var create errgroup.Group
	create.SetLimit(atOnce)
	for i := range s.opts.Count {
		create.Go(func() error {
			node := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Node", "metadata": map[string]any{
				"name":        fmt.Sprintf("simulated-%04d", i+1),
				"labels":      map[string]any{SimulatedLabel: "true"},
				"annotations": map[string]any{simulatedAnnotation: "fake"},
			}}}
			_, err := client.Resource(nodeKind).Create(ctx, node, metav1.CreateOptions{})
			return err
		})
	}
	if err := create.Wait(); err != nil {
		return err
	}
	ready := map[string]bool{}
	opts := metav1.ListOptions{LabelSelector: SimulatedLabel + "=true"}
	err = watchNodes(ctx, client, opts, s.process, func(node *unstructured.Unstructured) bool {
		if yes, _ := readiness(node); yes {
			ready[node.GetName()] = true
		}
		return len(ready) == s.opts.Count
	})
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%d are ready: %w; kwok said:\n%s", len(ready), err, s.process.Said)
	}
	return err
}

// serveLogs answers what the API server asks kubelets for, and nobody else.
func (s *simulator) serveLogs() (*net.TCPAddr, error) {
	address := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}
	cert, key, err := s.cluster.Serving(address.IP)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(s.cluster.CA())
	l, err := tls.Listen("tcp", address.String(), &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", func(w http.ResponseWriter, r *http.Request) {
		if s.opts.Logs == nil {
			return
		}
		if err := s.opts.Logs(w, r.PathValue("namespace"), r.PathValue("pod"), r.PathValue("container")); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	s.logs.Handler = mux
	s.logs.ReadHeaderTimeout = time.Minute
	s.serving.Go(func() { _ = s.logs.Serve(l) }) // until it is closed
	return l.Addr().(*net.TCPAddr), nil
}

func (s *simulator) stop() error {
	var errs []error
	if s.process != nil {
		errs = append(errs, s.process.Stop())
	}
	errs = append(errs, s.logs.Close())
	s.serving.Wait()
	if s.journal != nil {
		_, err := s.journal.Close()
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
