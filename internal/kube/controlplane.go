// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/falcotest/go-falcotest/internal/kube/process"
	"github.com/falcotest/go-falcotest/internal/kube/programs"
)

// The users that controllers and scheduler are elsewhere, too.
const (
	managerUser   = "system:kube-controller-manager"
	schedulerUser = "system:kube-scheduler"
)

// ErrNoNodes is wrapped by errors that say that there are no programs of which a
// cluster with nodes could be made. Its text says what to do about it.
var ErrNoNodes = errors.New("no kubelet, kube-scheduler and kube-controller-manager to start: build them by `" + programs.NodesCommand + "` (some minutes, once)")

// FindNodes returns the program that is kubelet, kube-scheduler and
// kube-controller-manager.
func FindNodes() (string, error) {
	path, err := programs.Nodes.Path()
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		return "", fmt.Errorf("%w (%v)", ErrNoNodes, err)
	}
	return path, nil
}

// configureNodes writes the files that a cluster with nodes needs besides, and
// adds the API server's flags.
func (c *Cluster) configureNodes(flags []string) ([]string, error) {
	cert, key, err := c.ca.pair("kube-apiserver-kubelet-client", administrators)
	if err != nil {
		return nil, err
	}
	caKey, err := keyPEM(c.ca.key)
	if err != nil {
		return nil, err
	}
	for name, content := range map[string][]byte{"kubelet-client.crt": cert, "kubelet-client.key": key, "ca.key": caKey} {
		if err := os.WriteFile(c.file(name), content, 0o600); err != nil {
			return nil, err
		}
	}
	return append(flags,
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--kubelet-client-certificate="+c.file("kubelet-client.crt"),
		"--kubelet-client-key="+c.file("kubelet-client.key"),
		"--kubelet-certificate-authority="+c.file("ca.crt"),
		"--kubelet-preferred-address-types=InternalIP",
	), nil
}

// startControlPlane starts the controller manager and the scheduler, and waits
// until pods can be made.
func (c *Cluster) startControlPlane(ctx context.Context, log io.Writer) error {
	program, err := FindNodes()
	if err != nil {
		return err
	}
	for _, s := range []struct {
		name, user, group string
		flags             []string
	}{
		// Its controllers work as this one user, for whom RBAC has too few rights,
		// since what they do as others would be audited as the tests' doing.
		{"kube-controller-manager", managerUser, administrators, []string{
			"--service-account-private-key-file=" + c.file("accounts.key"),
			"--root-ca-file=" + c.file("ca.crt"),
			"--cluster-signing-cert-file=" + c.file("ca.crt"), "--cluster-signing-key-file=" + c.file("ca.key"),
			// A node that is lost is noticed in less than the usual 50 seconds.
			// Kubelets tell every five that they are there.
			"--node-monitor-grace-period=20s", "--node-monitor-period=2s",
			"--concurrent-job-syncs=20",
		}},
		{"kube-scheduler", schedulerUser, schedulerUser, nil},
	} {
		config, err := clientConfig(c.config.Host, c.ca, s.user, s.group)
		if err != nil {
			return fmt.Errorf("making certificates: %w", err)
		}
		file := c.file(s.name + ".kubeconfig")
		if err := WriteKubeconfig(file, s.user, config); err != nil {
			return fmt.Errorf("writing the kubeconfig of %s: %w", s.name, err)
		}
		p, err := process.Start(s.name, exec.Command(program, append([]string{
			s.name, "--kubeconfig=" + file, "--authentication-kubeconfig=" + file, "--authorization-kubeconfig=" + file,
			"--leader-elect=false", "--bind-address=127.0.0.1", "--secure-port=0",
			// As much as thousands of nodes ask for; the API server bounds itself.
			"--kube-api-qps=1000", "--kube-api-burst=2000",
		}, s.flags...)...), log)
		if err != nil {
			return err
		}
		c.managers = append(c.managers, p)
		if err := c.killLater(p); err != nil {
			return err
		}
	}
	return c.waitAccount(ctx)
}

// waitAccount waits for the service account that pods have if they do not say
// which, and for the certificate that goes with it: the first thing that the
// controller manager makes, without which no pod can be made.
func (c *Cluster) waitAccount(ctx context.Context) error {
	client, err := dynamic.NewForConfig(c.config)
	if err != nil {
		return err
	}
	for _, o := range []struct{ resource, name string }{{"serviceaccounts", "default"}, {"configmaps", "kube-root-ca.crt"}} {
		w, err := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: o.resource}).Namespace("default").
			Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + o.name})
		if err != nil {
			return fmt.Errorf("waiting for %s %s: %w", o.resource, o.name, err)
		}
		defer w.Stop()
		for there := false; !there; {
			select {
			case e, ok := <-w.ResultChan():
				if !ok {
					return fmt.Errorf("waiting for %s %s: the watch ended: %w", o.resource, o.name, context.Cause(ctx))
				}
				_, there = e.Object.(*unstructured.Unstructured)
			case <-c.managers[0].Done:
				return c.managers[0].Failure()
			case <-c.managers[1].Done:
				return c.managers[1].Failure()
			}
		}
	}
	return nil
}

// Log is [Options].Log.
func (c *Cluster) Log() io.Writer { return c.log }

// CA returns the certificate, in PEM, of who signs all of the cluster's.
func (c *Cluster) CA() []byte { return c.ca.pem }

// ConfigOf returns the configuration of a client that is another user.
func (c *Cluster) ConfigOf(user string, groups ...string) (*rest.Config, error) {
	return clientConfig(c.config.Host, c.ca, user, groups...)
}

// Serving makes a certificate for a server at an address, and its key, both in
// PEM.
func (c *Cluster) Serving(address net.IP) (cert, key []byte, err error) {
	return c.ca.serving(address)
}
