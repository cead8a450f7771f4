// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	apiversion "k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	"github.com/falcotest/go-falcotest/internal/journal"
	"github.com/falcotest/go-falcotest/internal/kube/process"
	"github.com/falcotest/go-falcotest/internal/source/k8saudit/audit"
)

// Options say how a cluster is started. One of Handle and WebhookURL is needed
// for audit events to go anywhere.
type Options struct {
	// Binaries are the programs to start, those of [Find] if zero.
	Binaries Binaries

	// Handle is called for each audit event, for one at a time, before the API
	// server completes its answer to the request that the event is about: when
	// a client has read all of an answer, the events have been handled.
	Handle func(*audit.Event)

	// Problem, if set, is told of audit events that were lost; Refused of
	// requests to the audit endpoint that were none of the API server's.
	Problem, Refused func(error)

	// WebhookURL is where audit events go instead of Handle: the endpoint of a
	// Falco's k8saudit plugin.
	WebhookURL string

	// Nodes says that the cluster is to have nodes, which package nodes gives
	// it: there are then kube-scheduler and kube-controller-manager too, and
	// pods need a service account as they do elsewhere.
	Nodes bool

	// Log, if set, receives what the programs say.
	Log io.Writer
}

// Cluster is a running API server.
type Cluster struct {
	version    string
	binaries   Binaries
	log        io.Writer
	kubeconfig string
	config     *rest.Config
	ca         *authority
	endpoint   *audit.Server
	journal    *journal.Dir // its directory, which a later run removes if this one is killed
	dir        string
	processes  []*process.Process // in the order of starting
	managers   []*process.Process // kube-controller-manager and kube-scheduler
	stopping   chan struct{}
	stopOnce   sync.Once
	stopErr    error
	control    *controllers
	done       chan struct{}

	mu      sync.Mutex
	atClose []func() error
}

// readyWithin is how long a cluster may take to start. It takes about three
// seconds on an idle machine.
const readyWithin = 2 * time.Minute

// Start starts a cluster and waits until it answers. The context bounds the
// start only; [Cluster.Close] ends the cluster, and so does the end of this
// process, however it comes.
func Start(ctx context.Context, opts Options) (*Cluster, error) {
	b := opts.Binaries
	if b == (Binaries{}) {
		var err error
		if b, err = Find(); err != nil {
			return nil, err
		}
	}
	c := &Cluster{binaries: b, log: opts.Log, stopping: make(chan struct{}), done: make(chan struct{})}
	ctx, cancel := context.WithTimeoutCause(ctx, readyWithin, fmt.Errorf("not ready within %v", readyWithin))
	defer cancel()
	if err := c.start(ctx, opts); err != nil {
		return nil, errors.Join(fmt.Errorf("starting a Kubernetes API server: %s: %w", b, err), c.Close())
	}
	go c.watch()
	return c, nil
}

func (c *Cluster) start(ctx context.Context, opts Options) (err error) {
	if c.journal, err = journal.CreatePrivate("", "kube-"+rand.Text()[:12]); err != nil {
		return err
	}
	c.dir = c.journal.Path()
	ca, err := newAuthority()
	if err != nil {
		return fmt.Errorf("making certificates: %w", err)
	}
	c.ca = ca
	if err := c.startEndpoint(opts, ca); err != nil {
		return err
	}
	flags, err := c.configure(ca)
	if err == nil && opts.Nodes {
		flags, err = c.configureNodes(flags)
	} else {
		// There is no controller that makes service accounts, which it waits for.
		flags = append(flags, "--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount")
	}
	if err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	var server string
	if c.binaries.Combined != "" {
		server, err = c.startCombined(ctx, flags, opts.Log)
	} else {
		server, err = c.startSeparate(ctx, flags, opts.Log)
	}
	if err != nil {
		return err
	}
	if err := c.access(server, ca); err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	if err := c.waitReady(ctx); err != nil {
		return err
	}
	if opts.Nodes {
		return c.startControlPlane(ctx, opts.Log)
	}
	controllerConfig, err := clientConfig(server, ca, controllerUser, administrators)
	if err != nil {
		return fmt.Errorf("making certificates: %w", err)
	}
	c.control, err = startControllers(ctx, controllerConfig, ca)
	return err
}

// file returns the path of a file of the cluster's.
func (c *Cluster) file(name string) string { return filepath.Join(c.dir, name) }

// startEndpoint starts to listen for audit events, and writes the webhook's
// configuration.
func (c *Cluster) startEndpoint(opts Options, ca *authority) error {
	if opts.WebhookURL != "" {
		return writeJSON(c.file("webhook.json"), kubeconfig(opts.WebhookURL, nil, "webhook", object{}))
	}
	cert, key, err := ca.serving(net.IPv4(127, 0, 0, 1), net.IPv6loopback)
	if err != nil {
		return fmt.Errorf("making certificates: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("making certificates: %w", err)
	}
	handle := opts.Handle
	if handle == nil {
		handle = func(*audit.Event) {}
	}
	token := rand.Text()
	c.endpoint, err = audit.Listen("127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}}, audit.HandlerOptions{
		Handle:  handle,
		Problem: opts.Problem,
		Refused: opts.Refused,
		Token:   token,
	})
	if err != nil {
		return err
	}
	return writeJSON(c.file("webhook.json"), kubeconfig(c.endpoint.URL, ca.pem, "webhook", object{"token": token}))
}

// configure writes the files that the API server needs, and returns its flags.
func (c *Cluster) configure(ca *authority) ([]string, error) {
	serving, servingKey, err := ca.serving(net.IPv4(127, 0, 0, 1), net.IPv6loopback)
	if err != nil {
		return nil, err
	}
	accounts, err := newAuthority() // for its key
	if err != nil {
		return nil, err
	}
	accountsKey, err := keyPEM(accounts.key)
	if err != nil {
		return nil, err
	}
	for name, content := range map[string][]byte{
		"ca.crt": ca.pem, "serving.crt": serving, "serving.key": servingKey, "accounts.key": accountsKey,
	} {
		if err := os.WriteFile(c.file(name), content, 0o600); err != nil {
			return nil, err
		}
	}
	if err := writeJSON(c.file("policy.json"), auditPolicy()); err != nil {
		return nil, err
	}
	return []string{
		"--client-ca-file=" + c.file("ca.crt"),
		"--tls-cert-file=" + c.file("serving.crt"),
		"--tls-private-key-file=" + c.file("serving.key"),
		"--cert-dir=" + c.dir,
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.file("accounts.key"),
		"--service-account-signing-key-file=" + c.file("accounts.key"),
		"--service-cluster-ip-range=10.0.0.0/24",
		"--allow-privileged=true",
		"--endpoint-reconciler-type=none",
		"--advertise-address=127.0.0.1",
		"--external-hostname=127.0.0.1",
		"--profiling=false",
		"--audit-policy-file=" + c.file("policy.json"),
		"--audit-webhook-config-file=" + c.file("webhook.json"),
		"--audit-webhook-version=audit.k8s.io/v1",
		// The event is sent before the request is over, not in batches.
		"--audit-webhook-mode=blocking",
		"--audit-webhook-initial-backoff=100ms",
	}, nil
}

// startCombined starts the program that is both, and returns its URL.
func (c *Cluster) startCombined(ctx context.Context, flags []string, log io.Writer) (string, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer r.Close()
	cmd := exec.Command(c.binaries.Combined, append([]string{c.dir}, flags...)...)
	cmd.Stdout = w
	p, err := process.Start("kube-apiserver", cmd, log)
	w.Close()
	if err != nil {
		return "", err
	}
	c.processes = append(c.processes, p)
	if err := c.killLater(p); err != nil {
		return "", err
	}
	line := make(chan string, 1)
	go func() {
		s, _ := bufio.NewReader(r).ReadString('\n')
		line <- strings.TrimSpace(s)
	}()
	select {
	case url := <-line:
		if url == "" {
			<-p.Done
			return "", p.Failure()
		}
		return url, nil
	case <-ctx.Done():
		return "", fmt.Errorf("%w; it said:\n%s", context.Cause(ctx), p.Said)
	}
}

// killLater has a later run kill a process that outlives this one, though it is
// told to end.
func (c *Cluster) killLater(p *process.Process) error {
	start, err := journal.StartOf(p.PID)
	if err != nil {
		return nil // it has ended, or processes cannot be named here
	}
	return c.journal.Add(journal.Op{ID: "process", Kind: journal.Kill, PID: p.PID, Start: start})
}

// startSeparate starts etcd and the API server, and returns its URL. They
// cannot be asked for a free port, so one that was free just before is tried.
func (c *Cluster) startSeparate(ctx context.Context, flags []string, log io.Writer) (string, error) {
	client, err := freePort()
	if err != nil {
		return "", err
	}
	peer, err := freePort()
	if err != nil {
		return "", err
	}
	secure, err := freePort()
	if err != nil {
		return "", err
	}
	clientURL, peerURL := "http://127.0.0.1:"+client, "http://127.0.0.1:"+peer
	for _, s := range []struct {
		name, program, dir string // the folder is removed after its end
		args               []string
	}{
		{"etcd", c.binaries.Etcd, c.dir, []string{
			"--data-dir=" + c.file("etcd"), "--name=default", "--unsafe-no-fsync", "--log-level=error",
			"--listen-client-urls=" + clientURL, "--advertise-client-urls=" + clientURL,
			"--listen-peer-urls=" + peerURL, "--initial-advertise-peer-urls=" + peerURL, "--initial-cluster=default=" + peerURL,
		}},
		{"kube-apiserver", c.binaries.APIServer, c.file("none"), append([]string{
			"--etcd-servers=" + clientURL, "--bind-address=127.0.0.1", "--secure-port=" + secure,
		}, flags...)},
	} {
		cmd, err := process.Watch(s.dir, s.program, s.args)
		if err != nil {
			return "", err
		}
		p, err := process.Start(s.name, cmd, log)
		if err != nil {
			return "", err
		}
		c.processes = append(c.processes, p)
	}
	return "https://127.0.0.1:" + secure, nil
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("looking for a free port: %w", err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
}

// access writes the kubeconfig.
func (c *Cluster) access(server string, ca *authority) error {
	var err error
	if c.config, err = clientConfig(server, ca, AdminUser, administrators); err != nil {
		return err
	}
	c.kubeconfig = c.file("kubeconfig")
	return WriteKubeconfig(c.kubeconfig, AdminUser, c.config)
}

// WriteKubeconfig writes the configuration of a client to a file.
func WriteKubeconfig(file, user string, config *rest.Config) error {
	return writeJSON(file, kubeconfig(config.Host, config.CAData, user, object{
		"client-certificate-data": config.CertData,
		"client-key-data":         config.KeyData,
	}))
}

// clientConfig returns the configuration of a client.
func clientConfig(server string, ca *authority, user string, groups ...string) (*rest.Config, error) {
	cert, key, err := ca.pair(user, groups...)
	if err != nil {
		return nil, err
	}
	return &rest.Config{
		Host:           server,
		QPS:            -1,
		WarningHandler: rest.NoWarnings{},
		TLSClientConfig: rest.TLSClientConfig{
			CAData: ca.pem, CertData: cert, KeyData: key,
		},
	}, nil
}

// waitReady waits until the API server is ready, and has made the namespaces
// and the service that every cluster has, which it does not count as being
// ready.
func (c *Cluster) waitReady(ctx context.Context) error {
	d, err := discovery.NewDiscoveryClientForConfig(c.config)
	if err != nil {
		return err
	}
	paths := []string{"/readyz"}
	for _, ns := range []string{"default", "kube-system", "kube-public", "kube-node-lease"} {
		paths = append(paths, "/api/v1/namespaces/"+ns)
	}
	paths = append(paths, "/api/v1/namespaces/default/services/kubernetes")
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	ended := c.processes[len(c.processes)-1]
	for len(paths) > 0 {
		_, err := d.RESTClient().Get().AbsPath(paths[0]).DoRaw(ctx)
		if err == nil {
			paths = paths[1:]
			continue
		}
		select {
		case <-retry.C:
		case <-ended.Done:
			return ended.Failure()
		case <-ctx.Done():
			return fmt.Errorf("%w: last, %s said: %v; %s said:\n%s", context.Cause(ctx), paths[0], err, ended.Name, ended.Said)
		}
	}
	var v *apiversion.Info
	if v, err = d.ServerVersion(); err != nil {
		return err
	}
	c.version = v.GitVersion
	return nil
}

// watch closes done when the API server ends.
func (c *Cluster) watch() {
	<-c.processes[len(c.processes)-1].Done
	close(c.done)
}

// Kubeconfig returns the path of a kubeconfig of the cluster's administrator.
func (c *Cluster) Kubeconfig() string { return c.kubeconfig }

// Config returns the same for client-go. The caller may change it.
func (c *Cluster) Config() *rest.Config { return rest.CopyConfig(c.config) }

// Version returns the API server's version, such as "v1.37.2".
func (c *Cluster) Version() string { return c.version }

// String says what the cluster is, for reports.
func (c *Cluster) String() string {
	return "kube-apiserver " + c.version + ", " + c.binaries.String()
}

// Counts returns how many audit events came. It is zero with a WebhookURL.
func (c *Cluster) Counts() audit.Counts {
	if c.endpoint == nil {
		return audit.Counts{}
	}
	return c.endpoint.Handler.Counts()
}

// Done returns a channel that is closed when the API server has ended, because
// of Close or by itself; see [Cluster.Err].
func (c *Cluster) Done() <-chan struct{} { return c.done }

// Err returns how the API server, or what runs the cluster beside it, ended if it
// did so by itself: then nothing that was asked of it since has a verdict.
func (c *Cluster) Err() error {
	select {
	case <-c.stopping:
		return nil
	default:
	}
	for _, p := range append(c.managers, c.processes[len(c.processes)-1]) {
		select {
		case <-p.Done:
			return p.Failure()
		default:
		}
	}
	return nil
}

// AtClose has Close call a function first, while the API server still answers;
// the last that was given is the first to be called.
func (c *Cluster) AtClose(f func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.atClose = append(c.atClose, f)
}

// Close stops the cluster and removes all that it had. It can be called more
// than once.
func (c *Cluster) Close() error {
	c.stopOnce.Do(func() {
		close(c.stopping)
		var errs []error
		if c.control != nil {
			c.control.stop()
		}
		c.mu.Lock()
		first := c.atClose
		c.mu.Unlock()
		for _, f := range slices.Backward(first) {
			errs = append(errs, f())
		}
		for _, p := range c.managers {
			errs = append(errs, p.Stop())
		}
		for i := len(c.processes) - 1; i >= 0; i-- { // the API server before etcd
			errs = append(errs, c.processes[i].Stop())
		}
		if c.endpoint != nil {
			ctx, cancel := context.WithTimeout(context.Background(), process.Grace)
			defer cancel()
			errs = append(errs, c.endpoint.Close(ctx))
		}
		if c.journal != nil {
			_, err := c.journal.Close()
			errs = append(errs, err)
		}
		if err := errors.Join(errs...); err != nil {
			c.stopErr = fmt.Errorf("stopping the Kubernetes API server: %w", err)
		}
	})
	return c.stopErr
}
