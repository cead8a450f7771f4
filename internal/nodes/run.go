// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	batchclient "k8s.io/client-go/kubernetes/typed/batch/v1"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/klog/v2"

	"github.com/falcotest/go-falcotest/internal/nodes/manifest"
)

// askWithin bounds a request whose answer nothing hangs on.
const askWithin = 10 * time.Second

// Run is the same tests on the nodes of a cluster. Its methods are safe for concurrent
// use.
type Run struct {
	opts  Options
	core  coreclient.CoreV1Interface
	batch batchclient.BatchV1Interface
	lease coordinationclient.CoordinationV1Interface

	nodes  []*state // by name
	byJob  map[string]*state
	byNode map[string]*state
	anchor *batchv1.Job

	ctx     context.Context // ends with the run
	cancel  context.CancelCauseFunc
	work    sync.WaitGroup // what runs until the context ends
	jobs    sync.WaitGroup // the nodes' turns
	watched *watches
	madeNS  bool
	serves  bool // it made the Service
	closing sync.Once
	closed  error
}

// state is what is known of a node and its Job.
type state struct {
	*Node
	job     string        // its name
	changed chan struct{} // holds a token when there is news
	output  []string      // the last lines of the pod's own output

	mu       sync.Mutex
	unready  string // why the node is not ready
	gone     bool   // the node is no more
	pod      *corev1.Pod
	podGone  bool
	ended    *batchv1.JobCondition // how the Job ended
	jobGone  bool
	warnings []string // events that tell why no pod comes
}

func (n *state) podName() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.pod == nil {
		return ""
	}
	return n.pod.Name
}

// update changes what is known, and tells who waits.
func (n *state) update(change func()) {
	n.mu.Lock()
	change()
	n.mu.Unlock()
	select {
	case n.changed <- struct{}{}:
	default:
	}
}

// Prepare selects the nodes, removes what earlier runs left, and makes what the pods
// need. It makes no Job of a node yet; see [Run.Go]. The context bounds the whole run.
// An error leaves nothing behind.
func Prepare(ctx context.Context, opts Options) (*Run, error) {
	opts.defaults()
	if err := opts.Manifest.Check(); err != nil {
		return nil, fmt.Errorf("running on the nodes of a cluster: %w", err)
	}
	ctx = klog.NewContext(ctx, klog.Logger{}) // which logs nothing: errors are told once, by who meets them
	config := rest.CopyConfig(opts.Config)
	// The API server says when it has too much to do, and Parallel bounds what there is.
	config.QPS, config.RateLimiter = -1, flowcontrol.NewFakeAlwaysRateLimiter()
	config.WarningHandler = rest.NoWarnings{}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("reaching the cluster: %w", err)
	}
	r := &Run{opts: opts, byJob: map[string]*state{}, byNode: map[string]*state{}}
	var errs [3]error
	r.core, errs[0] = coreclient.NewForConfigAndClient(config, client)
	r.batch, errs[1] = batchclient.NewForConfigAndClient(config, client)
	r.lease, errs[2] = coordinationclient.NewForConfigAndClient(config, client)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("reaching the cluster: %w", err)
	}
	if err := r.selectNodes(ctx); err != nil {
		return nil, err
	}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	if len(r.nodes) == 0 {
		return r, nil // none is wanted
	}
	if err := r.prepare(); err != nil {
		return nil, errors.Join(err, r.Close(context.WithoutCancel(ctx)))
	}
	return r, nil
}

func (r *Run) prepare() error {
	if err := r.sweep(r.ctx); err != nil {
		return err
	}
	if err := r.makeNamespace(); err != nil {
		return err
	}
	if err := r.makeAnchor(); err != nil {
		return err
	}
	if err := r.holdLease(); err != nil {
		return err
	}
	if err := r.share(); err != nil {
		return err
	}
	return r.watch()
}

// Nodes are the selected nodes, by name.
func (r *Run) Nodes() []*Node {
	var list []*Node
	for _, n := range r.nodes {
		list = append(list, n.Node)
	}
	return list
}

// Go has the nodes judged, as many at once as [Options.Parallel] says, in the order of
// their names. It does not wait.
func (r *Run) Go() {
	queue := make(chan *state)
	r.work.Go(func() {
		defer close(queue)
		for _, n := range r.nodes {
			queue <- n
		}
	})
	for range min(r.opts.Parallel, len(r.nodes)) {
		r.jobs.Go(func() {
			for n := range queue {
				r.opts.Ended(n.Name, r.judge(n))
			}
		})
	}
}

// Wait returns when all nodes have ended.
func (r *Run) Wait() { r.jobs.Wait() }

// judge sees a node's Job from its creation to its last message.
func (r *Run) judge(n *state) *Failure {
	ctx, cancel := context.WithTimeoutCause(r.ctx, r.opts.Manifest.Deadline+min(grace, r.opts.Manifest.Deadline), errLimit)
	defer cancel()
	if f := r.create(ctx, n); f != nil {
		return r.fail(ctx, n, f)
	}
	f := r.started(ctx, n)
	if f == nil {
		f = r.follow(ctx, n)
	}
	if f != nil {
		f = r.fail(ctx, n, f)
	}
	return f
}

// grace is how much longer than its Job a node is waited for.
var grace = 30 * time.Second

var errLimit = errors.New("it took longer than it may")

// interrupted says why a context ended.
func (r *Run) interrupted(ctx context.Context) *Failure {
	f := &Failure{Reason: fmt.Sprintf("the run was ended: %v", context.Cause(ctx))}
	if errors.Is(context.Cause(ctx), errLimit) {
		f.Reason = fmt.Sprintf("the node's Job was not done within %s", r.opts.Manifest.Deadline)
		f.Hint = "see what takes so long in the pod's output, or raise FALCOTEST_NODES_DEADLINE"
	}
	return f
}

// create makes the Job of a node.
func (r *Run) create(ctx context.Context, n *state) *Failure {
	n.mu.Lock()
	why, gone := n.unready, n.gone
	n.mu.Unlock()
	switch {
	case gone:
		return &Failure{Reason: "the node is no more"}
	case why != "":
		if f := r.lost(ctx, n); f != nil {
			return f
		}
	}
	job := manifest.Job(r.opts.Manifest, n.Name)
	job.OwnerReferences = ownedBy(r.anchor)
	err := r.again(ctx, func() error {
		_, err := r.batch.Jobs(r.opts.Manifest.Namespace).Create(ctx, job, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			return nil // by an attempt whose answer was lost
		}
		return err
	})
	if err != nil && ctx.Err() != nil {
		return r.interrupted(ctx)
	}
	if err != nil {
		return &Failure{Reason: r.refused(err, "creating the node's Job").Error()}
	}
	return nil
}

// again repeats a request while the API server cannot be reached or is not able to
// answer.
func (r *Run) again(ctx context.Context, request func() error) error {
	if r.ctx != nil && r.ctx.Err() != nil { // what is done after the run is not worth a long wait
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, answersWithin, fmt.Errorf("the API server did not answer within %s", answersWithin))
		defer cancel()
	}
	pause := 100 * time.Millisecond
	for {
		err := request()
		if err == nil || !passing(err) {
			return err
		}
		if ctx.Err() != nil {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
		pause = min(2*pause, 5*time.Second)
	}
}

// passing tells whether another attempt may well succeed.
func passing(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
	}
	return apierrors.IsTooManyRequests(err) || apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) ||
		apierrors.IsServiceUnavailable(err) || apierrors.IsInternalError(err) || apierrors.IsConflict(err)
}

// lost waits for a node that is not ready, and says so when it does not come back.
func (r *Run) lost(ctx context.Context, n *state) *Failure {
	timer := time.NewTimer(r.opts.Lost)
	defer timer.Stop()
	for {
		n.mu.Lock()
		why, gone := n.unready, n.gone
		n.mu.Unlock()
		switch {
		case gone:
			return &Failure{Reason: "the node is no more"}
		case why == "":
			return nil
		}
		select {
		case <-n.changed:
		case <-timer.C:
			return r.away(n)
		case <-ctx.Done():
			return r.interrupted(ctx)
		}
	}
}

// started waits until the pod of a node runs or has run.
func (r *Run) started(ctx context.Context, n *state) *Failure {
	timer := time.NewTimer(r.opts.Start)
	defer timer.Stop()
	for {
		n.mu.Lock()
		pod, ended, jobGone, unready := n.pod, n.ended, n.jobGone, n.unready
		why := waiting(pod)
		if pod == nil && len(n.warnings) > 0 {
			why = n.warnings[len(n.warnings)-1]
		}
		n.mu.Unlock()
		switch {
		case hasRun(pod):
			return nil
		case jobGone:
			return &Failure{Reason: "somebody deleted the node's Job before its pod ran"}
		case pod != nil && pod.Status.Phase == corev1.PodFailed:
			return &Failure{Reason: podFailed(pod)}
		case ended != nil && !itsPods(ended):
			return &Failure{Reason: "the node's Job ended before its pod ran: " + condition(ended)}
		case pod == nil && r.hintOf(why) != "", pod != nil && hopeless(pod):
			return &Failure{Reason: "the node's pod cannot run: " + why}
		case unready != "":
			if f := r.lost(ctx, n); f != nil {
				return f
			}
			continue
		}
		select {
		case <-n.changed:
		case <-timer.C:
			if why == "" {
				why = "nothing is known of its pod"
			}
			return &Failure{Reason: fmt.Sprintf("the node's pod did not run within %s: %s", r.opts.Start, why)}
		case <-ctx.Done():
			return r.interrupted(ctx)
		}
	}
}
