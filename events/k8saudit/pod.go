// SPDX-License-Identifier: Apache-2.0

package k8saudit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"

	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/kube/objects"
)

// podPatience is how long it may take until a pod runs, and until it has done
// what it is asked for.
const podPatience = 30 * time.Second

// A runningPod is a pod for an action on a cluster whose nodes run pods.
type runningPod struct {
	*resource.Info
	run    *objects.Run
	config *rest.Config
}

// startPod creates a pod and waits until it runs. It returns nil where nodes do
// not run the pods of actions: on a cluster that there is, whose own they are, and
// on one that has none.
func startPod(r *objects.Run) (*runningPod, error) {
	if os.Getenv(config.EnvPods) == "" {
		return nil, nil
	}
	c, err := r.Config()
	if err != nil {
		return nil, err
	}
	c.Timeout = 0 // connections last as long as the action wants
	infos, err := createFile(r, "objects/running-pod.yaml")
	if err != nil {
		return nil, err
	}
	p := &runningPod{infos[0], r, c}
	ctx, cancel := context.WithTimeout(context.Background(), podPatience)
	defer cancel()
	if err := p.waitRunning(ctx); err != nil {
		return nil, fmt.Errorf("waiting until pod %s runs: %w", p.Name, err)
	}
	return p, nil
}

func (p *runningPod) waitRunning(ctx context.Context) error {
	w, err := resource.NewHelper(p.Client, p.Mapping).WatchSingle(p.Namespace, p.Name, p.ResourceVersion)
	if err != nil {
		return err
	}
	defer w.Stop()
	phase := "Pending"
	for {
		select {
		case e, ok := <-w.ResultChan():
			if !ok {
				return fmt.Errorf("it is %s, and the watch ended", phase)
			}
			if o, ok := e.Object.(*unstructured.Unstructured); ok {
				phase, _, _ = unstructured.NestedString(o.Object, "status", "phase")
			}
			if phase == "Running" {
				return nil
			}
		case <-ctx.Done():
			return fmt.Errorf("after %v it is %s", podPatience, phase)
		}
	}
}

// request is a request for a subresource of the pod.
func (p *runningPod) request(subresource string) *rest.Request {
	return p.Client.Post().Namespace(p.Namespace).Resource("pods").Name(p.Name).SubResource(subresource)
}

// stream executes a command in the pod, or attaches to it, and expects it to say
// something.
func (p *runningPod) stream(request *rest.Request, stdin io.Reader, want string) error {
	executor, err := remotecommand.NewSPDYExecutor(p.config, http.MethodPost, request.URL())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), podPatience)
	defer cancel()
	var out bytes.Buffer
	if err := executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: stdin, Stdout: &out}); err != nil {
		return err
	}
	if !strings.HasPrefix(out.String(), want) {
		return fmt.Errorf("the pod says %q, and not %q", out.String(), want)
	}
	return nil
}

// forward connects to a port of the pod, and expects what is there to say
// something.
func (p *runningPod) forward(port, want string) error {
	transport, upgrader, err := spdy.RoundTripperFor(p.config)
	if err != nil {
		return err
	}
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, p.request("portforward").URL())
	conn, _, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
	if err != nil {
		return err
	}
	defer conn.Close()
	headers := http.Header{}
	headers.Set(corev1.PortHeader, port)
	headers.Set(corev1.PortForwardRequestIDHeader, "1")
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	failures, err := conn.CreateStream(headers)
	if err != nil {
		return err
	}
	failures.Close() // nothing is written to it
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := conn.CreateStream(headers)
	if err != nil {
		return err
	}
	expired := time.AfterFunc(podPatience, func() { conn.Close() })
	defer expired.Stop()
	got, err := io.ReadAll(data)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(string(got), want) {
		failure, _ := io.ReadAll(failures)
		return errors.New(strings.TrimSpace(fmt.Sprintf("port %s says %q, and not %q; %s", port, got, want, failure)))
	}
	return nil
}
