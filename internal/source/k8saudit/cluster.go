// SPDX-License-Identifier: Apache-2.0

package k8saudit

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/kube"
	"github.com/falcotest/go-falcotest/internal/kube/nodes"
	"github.com/falcotest/go-falcotest/internal/kube/programs"
	"github.com/falcotest/go-falcotest/internal/source"
	"github.com/falcotest/go-falcotest/internal/source/k8saudit/audit"
)

// embedded is the API server of this test binary. It is started for the first
// session that needs one, and for those that forward its events anew.
var embedded struct {
	sync.Mutex
	servers map[demand]*embeddedServer
}

// A demand is what sessions want an API server for.
type demand struct {
	webhook string // AuditWebhook
	nodes   int
}

// embeddedServer is one such API server, and what hands its events on.
type embeddedServer struct {
	*kube.Cluster
	forwarder *forwarder // nil where the built-in engine judges
}

func (e *embeddedServer) close() (err error) {
	if e.Cluster != nil {
		err = e.Cluster.Close()
	}
	if e.forwarder != nil {
		e.forwarder.close()
	}
	return err
}

// listening are the sessions that want the events of the embedded API server.
// Events come while it is being started, too: hence a lock of its own.
var listening struct {
	sync.Mutex
	sessions map[*cluster]bool
}

// embeddedCluster returns the API server, started if need be.
func embeddedCluster(ctx context.Context, want demand) (*embeddedServer, error) {
	embedded.Lock()
	defer embedded.Unlock()
	if c := embedded.servers[want]; c != nil && c.Err() == nil {
		return c, nil
	}
	each := func(f func(*cluster)) {
		listening.Lock()
		defer listening.Unlock()
		for c := range listening.sessions {
			if c.demand() == want {
				f(c)
			}
		}
	}
	problem := func(err error) { each(func(c *cluster) { c.problem(err) }) }
	refused := func(err error) { each(func(c *cluster) { c.refused(err) }) }
	handle := func(e *audit.Event) { each(func(c *cluster) { c.handle(e) }) }
	c := &embeddedServer{}
	if want.webhook != "" {
		hear, f := handle, newForwarder(want.webhook, problem)
		handle = func(e *audit.Event) {
			hear(e)
			f.add(e)
		}
		c.forwarder = f
	}
	var err error
	c.Cluster, err = kube.Start(ctx, kube.Options{Handle: handle, Problem: problem, Refused: refused, Nodes: want.nodes > 0})
	if err == nil && want.nodes > 0 {
		_, err = nodes.Grow(ctx, c.Cluster, want.nodes)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	if embedded.servers == nil {
		embedded.servers = make(map[demand]*embeddedServer)
	}
	embedded.servers[want] = c
	return c, nil
}

// closeEmbedded ends the API servers that were started.
func closeEmbedded() error {
	embedded.Lock()
	servers := embedded.servers
	embedded.servers = nil
	embedded.Unlock()
	var errs []error
	for _, s := range servers {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}

// A cluster is the Kubernetes cluster of a session. It is made at the first
// action that needs it.
type cluster struct {
	settings config.Kubernetes
	// evaluate is called for each audit event; nil where a real Falco judges.
	evaluate func(event any)

	starting sync.Mutex
	started  bool
	err      error
	embedded *embeddedServer // nil for a cluster that there is
	config   *rest.Config    // to work with such a cluster
	listener *audit.Server
	made     string // the namespace that was created

	mu       sync.Mutex                // guards the writing of embedded, too, and its reading by flags
	events   map[string][]*audit.Event // of the actions that run, by id
	arrived  map[string]chan struct{}  // closed when the event of a marker came
	problems told                      // events that were lost
	refusals told                      // requests that were no webhook's
}

func newCluster(settings config.Kubernetes) *cluster {
	return &cluster{
		settings: settings,
		events:   make(map[string][]*audit.Event), arrived: make(map[string]chan struct{}),
	}
}

// Judged has the built-in engine judge the cluster's audit events, and no Falco.
func (c *cluster) Judged(handle func(event any)) {
	c.settings.AuditWebhook, c.evaluate = "", handle
}

// Forward has the audit events of an API server that is started go to a Falco's
// plugin too.
func (c *cluster) Forward(address string) {
	if c.settings.AuditWebhook == "" {
		c.settings.AuditWebhook = address
	}
}

// Blind says why a Falco that judges does not see the events, or "".
func (c *cluster) Blind() string {
	if c.existing() || c.settings.AuditWebhook != "" {
		return ""
	}
	return "the audit events of an API server that is started here: WithKubernetes (AuditWebhook) or FALCOTEST_AUDIT_WEBHOOK says where its plugin k8saudit listens"
}

// existing tells whether the cluster is one that there is.
func (c *cluster) existing() bool { return c.settings.Kubeconfig != "" || c.settings.Context != "" }

// Start makes sure that there is a cluster. What comes from the end of a
// caller's context does not count for others.
func (c *cluster) Start(ctx context.Context) error {
	c.starting.Lock()
	defer c.starting.Unlock()
	if c.started {
		return c.err
	}
	err := c.connect(ctx)
	if err == nil && c.settings.CreateNamespace {
		err = c.createNamespace(ctx)
	}
	if err == nil || ctx.Err() == nil {
		c.started, c.err = true, missing(err)
	}
	return missing(err)
}

func (c *cluster) connect(ctx context.Context) (err error) {
	if c.existing() {
		rules := clientcmd.NewDefaultClientConfigLoadingRules()
		rules.ExplicitPath = c.settings.Kubeconfig
		c.config, err = clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: c.settings.Context}).ClientConfig()
		if err != nil {
			return fmt.Errorf("reading the kubeconfig: %w", err)
		}
		if c.evaluate == nil {
			return nil
		}
		return c.listen()
	}
	if c.evaluate == nil && c.settings.AuditWebhook == "" {
		return errors.New("the Falco that judges sees no audit events of the API server that would be started: say by WithKubernetes where its k8saudit plugin listens (AuditWebhook), or name a cluster that sends them to it")
	}
	if c.evaluate == nil {
		if err := reachPlugin(ctx, c.settings.AuditWebhook); err != nil {
			return err
		}
	}
	listening.Lock()
	if listening.sessions == nil {
		listening.sessions = make(map[*cluster]bool)
	}
	listening.sessions[c] = true
	listening.Unlock()
	server, err := embeddedCluster(ctx, c.demand())
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.embedded, c.config = server, server.Config()
	return nil
}

// listen listens for the audit events of a cluster that there is.
func (c *cluster) listen() error {
	if c.settings.AuditListen == "" {
		return errors.New("the built-in engine sees no audit events of this cluster: say by WithKubernetes where to listen for them (AuditListen) and have the cluster's audit webhook send them there, or let a Falco judge that sees them")
	}
	u, err := url.Parse(c.settings.AuditListen)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("AuditListen %q: want a URL such as http://127.0.0.1:9765 or https://0.0.0.0:9765?cert=FILE&key=FILE", c.settings.AuditListen)
	}
	var config *tls.Config
	q := u.Query()
	if u.Scheme == "https" {
		pair, err := tls.LoadX509KeyPair(q.Get("cert"), q.Get("key"))
		if err != nil {
			return fmt.Errorf("AuditListen %q: loading cert and key: %w", c.settings.AuditListen, err)
		}
		config = &tls.Config{Certificates: []tls.Certificate{pair}}
	}
	c.listener, err = audit.Listen(u.Host, config, audit.HandlerOptions{Handle: c.handle, Problem: c.problem, Refused: c.refused, Token: q.Get("token")})
	return err
}

// Flags are what the children of actions must know, as flags of kubectl. Those
// of other actions are asked for while the cluster is being started.
func (c *cluster) Flags() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var flags []string
	switch {
	case c.embedded != nil:
		flags = append(flags, "--kubeconfig="+c.embedded.Kubeconfig())
	case c.settings.Kubeconfig != "":
		// Children may have another working directory.
		if path, err := filepath.Abs(c.settings.Kubeconfig); err == nil {
			flags = append(flags, "--kubeconfig="+path)
		}
	}
	if c.existing() && c.settings.Context != "" {
		flags = append(flags, "--context="+c.settings.Context)
	}
	if c.settings.Namespace != "" {
		flags = append(flags, "--namespace="+c.settings.Namespace)
	}
	return flags
}

// Environ is what the processes of actions must be told besides.
func (c *cluster) Environ() []string {
	var environ []string
	if c.settings.Keep {
		environ = append(environ, config.Keep.Variable+"=1")
	}
	if c.settings.Nodes > 0 && !c.existing() {
		environ = append(environ, config.EnvPods+"=1")
	}
	return environ
}

// demand is what the session wants of an API server that is started.
func (c *cluster) demand() demand {
	return demand{c.settings.AuditWebhook, c.settings.Nodes}
}

// userAgent is what requests of an action call themselves; see events/k8saudit.
const userAgent = "falcotest/"

// handle takes an audit event. Calls do not overlap.
func (c *cluster) handle(e *audit.Event) {
	if c.evaluate != nil {
		c.evaluate(e)
	}
	id, ok := strings.CutPrefix(e.Text("userAgent"), userAgent)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if list, ok := c.events[id]; ok {
		c.events[id] = append(list, e)
	}
	if arrived := c.arrived[id]; arrived != nil && e.Text("stage") == "ResponseComplete" {
		close(arrived)
		delete(c.arrived, id)
	}
}

func (c *cluster) problem(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.problems.add(err)
}

func (c *cluster) refused(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refusals.add(err)
}

// told is how often something happened, and how the last time.
type told struct {
	times int
	last  error
}

func (t *told) add(err error) { t.times, t.last = t.times+1, err }

// Losses is how often events were lost so far.
func (c *cluster) Losses() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.problems.times
}

// Hint says what a miss may come from if the cluster's audit webhook is not
// set up as it must be, or "".
func (c *cluster) Hint() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refusals.times == 0 {
		return ""
	}
	return fmt.Sprintf("requests to the endpoint for audit events were refused (%d, the last: %v): see that the cluster's audit webhook is set up for it", c.refusals.times, c.refusals.last)
}

// Keep keeps the events of an action from now on, and returns what tells them. It is
// nil where they do not pass through here.
func (c *cluster) Keep(id string) func() []any {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.evaluate == nil && c.embedded == nil {
		return nil
	}
	c.events[id] = nil
	return func() []any {
		c.mu.Lock()
		defer c.mu.Unlock()
		list := make([]any, 0, len(c.events[id]))
		for _, e := range c.events[id] {
			list = append(list, e)
		}
		return list
	}
}

// Unkept says why nothing is kept.
func (c *cluster) Unkept() string {
	return "the audit events of this cluster do not pass through here, so that the built-in engine cannot tell why"
}

// Settle returns when all audit events have come that were caused before. The
// embedded API server sends them before it completes its answers, so that they
// are there. Of another, it is known when the event of a request has come that
// is made now; events are sent in the order in which requests completed.
func (c *cluster) Settle(ctx context.Context, nonce string) error {
	if c.embedded != nil {
		return nil
	}
	arrived := make(chan struct{})
	c.mu.Lock()
	c.arrived[nonce] = arrived
	c.mu.Unlock()
	if err := c.Trigger(ctx, nonce); err != nil {
		return err
	}
	select {
	case <-arrived:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the audit event of a request that was made after the action: %w: does the cluster's audit webhook send to %s, and does its policy log requests for configmaps?", context.Cause(ctx), c.listener.URL)
	}
}

// Trigger makes a request whose audit event comes after those of all requests
// before it, and for which the sentinel has a rule. It need not succeed, nor be
// allowed.
func (c *cluster) Trigger(ctx context.Context, nonce string) error {
	config := rest.CopyConfig(c.config)
	config.UserAgent = userAgent + nonce
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("reaching the cluster: %w", err)
	}
	err = client.RESTClient().Get().AbsPath("/api/v1/namespaces/default/configmaps/" + source.SentinelName + nonce).Do(ctx).Error()
	if status := apierrors.APIStatus(nil); err != nil && !errors.As(err, &status) {
		return fmt.Errorf("making a request whose audit event would be the last: %w", err)
	}
	return nil
}

// Trouble says what makes it impossible to tell what did not happen since so
// many losses, "" if nothing does.
func (c *cluster) Trouble(losses int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.embedded != nil {
		if err := c.embedded.Err(); err != nil {
			return err.Error()
		}
	}
	if c.problems.times > losses {
		return fmt.Sprintf("audit events were lost: %v", c.problems.last)
	}
	return ""
}

// Describe says what the audit events are of, for reports.
func (c *cluster) Describe() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.embedded != nil:
		return ", on kube-apiserver " + c.embedded.Version()
	case c.config != nil:
		return ", on the cluster at " + c.config.Host
	}
	return ""
}

func (c *cluster) createNamespace(ctx context.Context) error {
	name := c.settings.Namespace
	if name == "" {
		return errors.New("CreateNamespace needs a Namespace")
	}
	client, err := discovery.NewDiscoveryClientForConfig(c.config)
	if err != nil {
		return fmt.Errorf("reaching the cluster: %w", err)
	}
	body := `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"` + name + `","labels":{"app.kubernetes.io/part-of":"falcotest"}}}`
	err = client.RESTClient().Post().AbsPath("/api/v1/namespaces").SetHeader("Content-Type", "application/json").
		Body([]byte(body)).Do(ctx).Error()
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("creating namespace %s: %w", name, err)
	}
	c.made = name
	return nil
}

// Close ends what the session had of the cluster.
func (c *cluster) Close() error {
	c.starting.Lock()
	if !c.started {
		c.started, c.err = true, errors.New("the session has ended")
	}
	c.starting.Unlock()
	listening.Lock()
	delete(listening.sessions, c)
	listening.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var errs []error
	if c.made != "" && !c.settings.Keep {
		client, err := discovery.NewDiscoveryClientForConfig(c.config)
		if err == nil {
			err = client.RESTClient().Delete().AbsPath("/api/v1/namespaces/" + c.made).Do(ctx).Error()
		}
		if err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("deleting namespace %s: %w", c.made, err))
		}
	}
	if c.listener != nil {
		errs = append(errs, c.listener.Close(ctx))
	}
	return errors.Join(errs...)
}

// needServer is the need of the programs of an API server to start.
var needServer = events.Need{
	Name: "kube-apiserver",
	Hint: "build one by `" + programs.Command + "` (some minutes, once), or set KUBEBUILDER_ASSETS to the folder of a kube-apiserver and an etcd",
}

// missing tells of programs that there are not. Where CI is set, a job that was to
// have them would not notice otherwise.
func missing(err error) error {
	need, reason := needServer, "there is no kube-apiserver to start"
	switch {
	case errors.Is(err, kube.ErrNoBinaries):
	case errors.Is(err, nodes.ErrUnavailable), errors.Is(err, kube.ErrNoNodes):
		need, reason = needNodes, err.Error()
	default:
		return err
	}
	return &source.Missing{Need: need, Reason: reason, Required: os.Getenv("CI") != ""}
}

// needNodes is the need of what nodes of such a cluster are made of.
var needNodes = events.Need{
	Name: "nodes",
	Hint: "install containerd and runc, build the rest by `" + programs.NodesCommand + "` (some minutes, once), and run as root; or take Nodes out of WithKubernetes and " + config.KubernetesNodes.Variable,
}
