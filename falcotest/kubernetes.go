// SPDX-License-Identifier: Apache-2.0

package falcotest

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
	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/audit"
	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/judge"
	"github.com/falcotest/go-falcotest/internal/kube"
	"github.com/falcotest/go-falcotest/internal/kube/apiserver"
	"github.com/falcotest/go-falcotest/internal/trace"
)

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
	// parameters (WithFalcoPlugins) where it listens.
	AuditWebhook string

	// Keep leaves what actions made in the cluster, with labels to find it by.
	Keep bool
}

// WithKubernetes says which cluster the actions on Kubernetes work on.
func WithKubernetes(k Kubernetes) Option {
	return func(c *settings) { c.kube = k }
}

// embedded is the API server of this test binary. It is started for the first
// session that needs one, and for those that forward its events anew.
var embedded struct {
	sync.Mutex
	servers map[string]*embeddedServer // by AuditWebhook
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
func embeddedCluster(ctx context.Context, webhook string) (*embeddedServer, error) {
	embedded.Lock()
	defer embedded.Unlock()
	if c := embedded.servers[webhook]; c != nil && c.Err() == nil {
		return c, nil
	}
	each := func(f func(*cluster)) {
		listening.Lock()
		defer listening.Unlock()
		for c := range listening.sessions {
			if c.settings.AuditWebhook == webhook {
				f(c)
			}
		}
	}
	problem := func(err error) { each(func(c *cluster) { c.problem(err) }) }
	refused := func(err error) { each(func(c *cluster) { c.refused(err) }) }
	handle := func(e *audit.Event) { each(func(c *cluster) { c.handle(e) }) }
	c := &embeddedServer{}
	if webhook != "" {
		hear, f := handle, newForwarder(webhook, problem)
		handle = func(e *audit.Event) {
			hear(e)
			f.add(e)
		}
		c.forwarder = f
	}
	var err error
	if c.Cluster, err = kube.Start(ctx, kube.Options{Handle: handle, Problem: problem, Refused: refused}); err != nil {
		c.close()
		return nil, err
	}
	if embedded.servers == nil {
		embedded.servers = make(map[string]*embeddedServer)
	}
	embedded.servers[webhook] = c
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
	settings Kubernetes
	// evaluate is called for each audit event; nil where a real Falco judges.
	evaluate func(*audit.Event)
	// explainer is the engine that explains a miss.
	explainer func() (*engine.Engine, error)

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

func newCluster(settings Kubernetes) *cluster {
	return &cluster{
		settings: settings,
		events:   make(map[string][]*audit.Event), arrived: make(map[string]chan struct{}),
	}
}

// judgeBy has the cluster's audit events judged by the built-in engine, and not
// by a real Falco. It is called before start.
func (c *cluster) judgeBy(e *engine.Engine, emit func(*alert.Alert)) {
	var mu sync.Mutex
	evaluator := e.NewEvaluator()
	c.settings.AuditWebhook = ""
	c.explainer = func() (*engine.Engine, error) { return e, nil }
	c.evaluate = func(event *audit.Event) {
		mu.Lock()
		defer mu.Unlock()
		evaluator.Evaluate(audit.SourceName, event, emit)
	}
}

// isKubernetes tells whether an action works on a cluster.
func isKubernetes(action string) bool { return strings.HasPrefix(action, "k8saudit.") }

// existing tells whether the cluster is one that there is.
func (c *cluster) existing() bool { return c.settings.Kubeconfig != "" || c.settings.Context != "" }

// start makes sure that there is a cluster. What comes from the end of a
// caller's context does not count for others.
func (c *cluster) start(ctx context.Context) error {
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
		c.started, c.err = true, err
	}
	return err
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
	server, err := embeddedCluster(ctx, c.settings.AuditWebhook)
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

// flags are what the children of actions must know, as flags of kubectl. Those
// of other actions are asked for while the cluster is being started.
func (c *cluster) flags() []string {
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

// environ is what the processes of actions must be told besides.
func (c *cluster) environ() []string {
	if !c.settings.Keep {
		return nil
	}
	return []string{config.Keep.Variable + "=1"}
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

// losses is how often events were lost so far.
func (c *cluster) losses() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.problems.times
}

// refusal says what a miss may come from if the cluster's audit webhook is not
// set up as it must be, or "".
func (c *cluster) refusal() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refusals.times == 0 {
		return ""
	}
	return fmt.Sprintf("requests to the endpoint for audit events were refused (%d, the last: %v): see that the cluster's audit webhook is set up for it", c.refusals.times, c.refusals.last)
}

// watch keeps the events of an action from now on, for an explanation.
func (c *cluster) watch(id string) watcher {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events[id] = nil
	return &auditedChild{c, id}
}

// auditedChild is a child whose requests to a cluster are evaluated as their
// audit events come. Its system calls are not.
type auditedChild struct {
	cluster *cluster
	id      string
}

func (a *auditedChild) filter() []byte     { return nil }
func (a *auditedChild) marks() trace.Marks { return 0 }
func (a *auditedChild) exit() string       { return "" }
func (a *auditedChild) err() error         { return nil }

func (a *auditedChild) why(rule string) *engine.Why {
	why, _ := a.cluster.explain(a.id, rule)
	return why
}

// kept are the events of the child so far.
func (a *auditedChild) kept() []any {
	a.cluster.mu.Lock()
	defer a.cluster.mu.Unlock()
	list := make([]any, 0, len(a.cluster.events[a.id]))
	for _, e := range a.cluster.events[a.id] {
		list = append(list, e)
	}
	return list
}

func (a *auditedChild) note() string {
	if a.cluster.evaluate != nil {
		return ""
	}
	return "the built-in engine judged the same audit events"
}

// explain tells why a rule did not fire for the events of an action.
func (c *cluster) explain(id, rule string) (*engine.Why, error) {
	c.mu.Lock()
	list := c.events[id]
	c.mu.Unlock()
	e, err := c.explainer()
	if err != nil {
		return nil, err
	}
	evaluator := e.NewEvaluator()
	if err := evaluator.Explain(rule); err != nil {
		return nil, err
	}
	for _, event := range list {
		evaluator.Evaluate(audit.SourceName, event, func(*alert.Alert) {})
	}
	return evaluator.Why(rule), nil
}

// settle returns when all audit events have come that were caused before. The
// embedded API server sends them before it completes its answers, so that they
// are there. Of another, it is known when the event of a request has come that
// is made now; events are sent in the order in which requests completed.
func (c *cluster) settle(ctx context.Context, nonce string) error {
	if c.embedded != nil {
		return nil
	}
	arrived := make(chan struct{})
	c.mu.Lock()
	c.arrived[nonce] = arrived
	c.mu.Unlock()
	if err := c.askLast(ctx, nonce); err != nil {
		return err
	}
	select {
	case <-arrived:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the audit event of a request that was made after the action: %w: does the cluster's audit webhook send to %s, and does its policy log requests for configmaps?", context.Cause(ctx), c.listener.URL)
	}
}

// sentinel is that of a real Falco. It is not the first thing to do, since each
// event may keep a Falco busy for long: see WithFalcoPlugins.
func (c *cluster) sentinel(delay time.Duration) judge.Sentinel {
	return judge.Sentinel{Trigger: c.askLast, Delay: delay, Lossless: true}
}

// askLast makes a request whose audit event comes after those of all requests
// before it, and for which judge.AuditSentinelYAML has a rule. It need not
// succeed, nor be allowed.
func (c *cluster) askLast(ctx context.Context, nonce string) error {
	config := rest.CopyConfig(c.config)
	config.UserAgent = userAgent + nonce
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("reaching the cluster: %w", err)
	}
	err = client.RESTClient().Get().AbsPath("/api/v1/namespaces/default/configmaps/" + judge.AuditSentinelName(nonce)).Do(ctx).Error()
	if status := apierrors.APIStatus(nil); err != nil && !errors.As(err, &status) {
		return fmt.Errorf("making a request whose audit event would be the last: %w", err)
	}
	return nil
}

// trouble says what makes it impossible to tell what did not happen since so
// many losses, "" if nothing does.
func (c *cluster) trouble(losses int) string {
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

// describe adds to who judges what the audit events are of, for reports.
func (c *cluster) describe(judge string) string {
	switch {
	case c.embedded != nil:
		return judge + ", on kube-apiserver " + c.embedded.Version()
	case c.config != nil:
		return judge + ", on the cluster at " + c.config.Host
	}
	return judge
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

// close ends what the session had of the cluster.
func (c *cluster) close() error {
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
	Hint: "build one by `" + apiserver.Command + "` (some minutes, once), or set KUBEBUILDER_ASSETS to the folder of a kube-apiserver and an etcd",
}

// withoutCluster says in a result why its action cannot have a cluster. Where
// there are no programs to start one it is skipped, which is a failure where CI
// is set: a job that was to have them would not notice otherwise.
func (r *Result) withoutCluster(err error) {
	r.Outcome, r.Reason = TriggerFailed, err.Error()
	r.Hint = "mend what keeps the cluster from being used; the action itself was not run"
	if !errors.Is(err, kube.ErrNoBinaries) {
		return
	}
	r.Outcome, r.Reason, r.Hint, r.need = Skipped, "there is no kube-apiserver to start", needServer.Hint, needServer
	r.required = os.Getenv("CI") != ""
}
