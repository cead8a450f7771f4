// SPDX-License-Identifier: Apache-2.0

// Package nodestest plays the nodes of a cluster for tests, in one process: a kubelet
// that has pods run functions and serves their logs to the API server, and where a
// cluster has no controllers, the one that makes a Job's pod. A thousand nodes cost
// little, and logs break where a test says so.
package nodestest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// Kubelets plays the kubelets of nodes. Its methods are safe for concurrent use.
type Kubelets struct {
	// Run is what a pod runs: it writes the pod's output and returns the exit code.
	// The context ends when the pod is deleted.
	Run func(ctx context.Context, pod *corev1.Pod, out *Log) int32
	// Start, if set, decides of a pod before it runs: it returns false for one that is
	// not to run, of which it may have said why in its status.
	Start func(pod *corev1.Pod) bool
	// Label are labels of a node.
	Label func(node string) map[string]string

	client kubernetes.Interface
	server *http.Server
	port   int32
	work   sync.WaitGroup
	cancel context.CancelFunc
	ctx    context.Context

	// Cut, if set, says after how many bytes the connection for a pod's log breaks that
	// is the nth; 0: never.
	Cut func(nth int) int

	mu    sync.Mutex
	pods  map[types.UID]*pod
	names map[string]bool
}

type pod struct {
	opened int // how often its log was asked for
	log    *Log
	cancel context.CancelFunc
	key    string
}

// Log is the output of a pod. It is safe for concurrent use.
type Log struct {
	mu      sync.Mutex
	lines   []entry
	partial []byte
	ended   bool
	changed chan struct{}
}

type entry struct {
	at   time.Time
	text string
}

func newLog() *Log { return &Log{changed: make(chan struct{})} }

// Write adds output.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.partial = append(l.partial, p...)
	for {
		line, rest, ok := bytes.Cut(l.partial, []byte("\n"))
		if !ok {
			break
		}
		l.lines = append(l.lines, entry{time.Now().UTC(), string(line)})
		l.partial = bytes.Clone(rest)
	}
	close(l.changed)
	l.changed = make(chan struct{})
	return len(p), nil
}

// Forget drops the first lines, as a kubelet's rotation of logs does.
func (l *Log) Forget(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = l.lines[n:]
}

func (l *Log) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	close(l.changed)
	l.changed = make(chan struct{})
}

// New registers nodes of those names. Set the fields of what it returns before Begin.
func New(ctx context.Context, config *rest.Config, names ...string) (*Kubelets, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	k := &Kubelets{client: client, pods: map[types.UID]*pod{}, names: map[string]bool{}}
	k.ctx, k.cancel = context.WithCancel(ctx)
	for _, name := range names {
		k.names[name] = true
	}
	return k, nil
}

// Begin makes the nodes and begins to play.
func (k *Kubelets) Begin() error {
	if err := k.serve(); err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(k.client, 0)
	informer := factory.Core().V1().Pods().Informer()
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { k.saw(o.(*corev1.Pod)) },
		UpdateFunc: func(_, o any) { k.saw(o.(*corev1.Pod)) },
	})
	if err != nil {
		return err
	}
	k.work.Go(func() { informer.RunWithContext(k.ctx) })
	if !cache.WaitForCacheSync(k.ctx.Done(), informer.HasSynced) {
		return context.Cause(k.ctx)
	}
	limit := make(chan struct{}, 16)
	errs := make(chan error, len(k.names))
	for name := range k.names {
		limit <- struct{}{}
		go func() {
			errs <- k.register(name)
			<-limit
		}()
	}
	var all []error
	for range k.names {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

func (k *Kubelets) register(name string) error {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"kubernetes.io/hostname": name}}}
	if k.Label != nil {
		for key, value := range k.Label(name) {
			n.Labels[key] = value
		}
	}
	made, err := k.client.CoreV1().Nodes().Create(k.ctx, n, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	made.Status = corev1.NodeStatus{
		Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}},
		DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: k.port}},
		NodeInfo:        corev1.NodeSystemInfo{KernelVersion: "6.1.0", Architecture: "amd64", OSImage: "Played Linux", ContainerRuntimeVersion: "played://1.0", KubeletVersion: "v1.37.2"},
		Conditions:      []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady"}},
	}
	_, err = k.client.CoreV1().Nodes().UpdateStatus(k.ctx, made, metav1.UpdateOptions{})
	return err
}

// Ready says that a node is ready, or why not.
func (k *Kubelets) Ready(node, why string) error {
	n, err := k.client.CoreV1().Nodes().Get(k.ctx, node, metav1.GetOptions{})
	if err != nil {
		return err
	}
	c := &n.Status.Conditions[0]
	c.Status, c.Reason, c.Message = corev1.ConditionTrue, "KubeletReady", ""
	if why != "" {
		c.Status, c.Reason, c.Message = corev1.ConditionUnknown, "NodeStatusUnknown", why
	}
	_, err = k.client.CoreV1().Nodes().UpdateStatus(k.ctx, n, metav1.UpdateOptions{})
	return err
}

// Close ends the pods and forgets the nodes.
func (k *Kubelets) Close() {
	k.cancel()
	k.work.Wait()
	if k.server != nil {
		k.server.Close()
	}
}

func (k *Kubelets) saw(p *corev1.Pod) {
	if !k.names[p.Spec.NodeName] {
		return
	}
	k.mu.Lock()
	known := k.pods[p.UID]
	k.mu.Unlock()
	switch {
	case p.DeletionTimestamp != nil:
		if known != nil {
			known.cancel()
		}
		k.work.Go(func() {
			now := int64(0)
			k.client.CoreV1().Pods(p.Namespace).Delete(k.ctx, p.Name, metav1.DeleteOptions{GracePeriodSeconds: &now, Preconditions: metav1.NewUIDPreconditions(string(p.UID))})
		})
	case known == nil && p.Status.Phase == corev1.PodPending:
		ctx, cancel := context.WithCancel(k.ctx)
		it := &pod{log: newLog(), cancel: cancel, key: p.Namespace + "/" + p.Name}
		k.mu.Lock()
		k.pods[p.UID] = it
		k.mu.Unlock()
		k.work.Go(func() { k.play(ctx, p.DeepCopy(), it) })
	}
}

// play runs a pod to its end.
func (k *Kubelets) play(ctx context.Context, p *corev1.Pod, it *pod) {
	defer it.log.end()
	if k.Start != nil && !k.Start(p) {
		return
	}
	started := metav1.Now()
	status := corev1.ContainerStatus{Name: p.Spec.Containers[0].Name, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: started}}}
	if k.Status(ctx, p, corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{status}}) != nil {
		return
	}
	code := k.Run(ctx, p, it.log)
	if ctx.Err() != nil {
		return
	}
	status.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, StartedAt: started, FinishedAt: metav1.Now()}}
	phase := corev1.PodSucceeded
	if code != 0 {
		phase = corev1.PodFailed
	}
	it.log.end()
	k.Status(ctx, p, corev1.PodStatus{Phase: phase, ContainerStatuses: []corev1.ContainerStatus{status}})
}

// Status writes a pod's status.
func (k *Kubelets) Status(ctx context.Context, p *corev1.Pod, status corev1.PodStatus) error {
	patch, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		return err
	}
	for {
		_, err := k.client.CoreV1().Pods(p.Namespace).Patch(ctx, p.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
		var status apierrors.APIStatus
		if err == nil || errors.As(err, &status) || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(50 * time.Millisecond): // the API server is away
		case <-ctx.Done():
		}
	}
}

// serve serves logs as a kubelet does.
func (k *Kubelets) serve() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	if err != nil {
		return err
	}
	k.port = int32(listener.Addr().(*net.TCPAddr).Port)
	k.server = &http.Server{Handler: http.HandlerFunc(k.logs), BaseContext: func(net.Listener) context.Context { return k.ctx }}
	k.work.Go(func() { k.server.Serve(listener) })
	context.AfterFunc(k.ctx, func() { k.server.Close() })
	return nil
}

func (k *Kubelets) logs(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/") // containerLogs/NAMESPACE/POD/CONTAINER
	if len(parts) != 4 {
		http.NotFound(w, r)
		return
	}
	k.mu.Lock()
	left, cutting := 0, false
	var log *Log
	for _, p := range k.pods {
		if p.key == parts[1]+"/"+parts[2] {
			p.opened++
			if k.Cut != nil {
				left = k.Cut(p.opened)
				cutting = left > 0
			}
			log = p.log
		}
	}
	k.mu.Unlock()
	if log == nil {
		http.NotFound(w, r)
		return
	}
	q := r.URL.Query()
	var since time.Time
	if text := q.Get("sinceTime"); text != "" {
		since, _ = time.Parse(time.RFC3339, text)
	}
	flusher, _ := w.(http.Flusher)
	flusher.Flush()
	next := 0
	for {
		log.mu.Lock()
		lines, ended, changed := log.lines[min(next, len(log.lines)):], log.ended, log.changed
		log.mu.Unlock()
		next += len(lines)
		for _, line := range lines {
			if line.at.Before(since) {
				continue
			}
			text := line.text + "\n"
			if q.Get("timestamps") == "true" {
				text = line.at.Format(time.RFC3339Nano) + " " + text
			}
			if cutting && len(text) >= left {
				fmt.Fprint(w, text[:left])
				flusher.Flush()
				panic(http.ErrAbortHandler)
			}
			left -= len(text)
			fmt.Fprint(w, text)
		}
		flusher.Flush()
		if ended || q.Get("follow") != "true" {
			return
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

// Controllers plays, where a cluster has none, what makes the pods of Jobs and deletes
// them with their Jobs. Jobs are pinned to their nodes as package nodes has it.
type Controllers struct {
	// Make, if set, decides of a Job's pod before it is made.
	Make func(job *batchv1.Job) bool

	client kubernetes.Interface
	cancel context.CancelFunc
	ctx    context.Context
	work   sync.WaitGroup
}

// Control begins to play controllers.
func Control(ctx context.Context, config *rest.Config, c *Controllers) error {
	config = rest.CopyConfig(config)
	config.QPS = -1
	var err error
	if c.client, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}
	c.ctx, c.cancel = context.WithCancel(ctx)
	factory := informers.NewSharedInformerFactory(c.client, 0)
	jobs, pods := factory.Batch().V1().Jobs().Informer(), factory.Core().V1().Pods().Informer()
	of := func(p *corev1.Pod) *batchv1.Job {
		for _, o := range jobs.GetStore().List() {
			if j := o.(*batchv1.Job); metav1.IsControlledBy(p, j) {
				return j
			}
		}
		return nil
	}
	_, err = jobs.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { c.job(o.(*batchv1.Job), pods.GetStore()) },
		UpdateFunc: func(_, o any) { c.job(o.(*batchv1.Job), pods.GetStore()) },
	})
	if err != nil {
		return err
	}
	_, err = pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		UpdateFunc: func(_, o any) { c.pod(o.(*corev1.Pod), of) },
		DeleteFunc: func(o any) {
			if p, ok := o.(*corev1.Pod); ok {
				if j := of(p); j != nil && j.DeletionTimestamp != nil {
					c.job(j, pods.GetStore())
				} else if j != nil && p.Status.Phase != corev1.PodSucceeded {
					c.failed(j)
				}
			}
		},
	})
	if err != nil {
		return err
	}
	for _, i := range []cache.SharedIndexInformer{jobs, pods} {
		c.work.Go(func() { i.RunWithContext(c.ctx) })
	}
	cache.WaitForCacheSync(c.ctx.Done(), jobs.HasSynced, pods.HasSynced)
	return nil
}

// Close ends it.
func (c *Controllers) Close() {
	c.cancel()
	c.work.Wait()
}

func (c *Controllers) job(j *batchv1.Job, pods cache.Store) {
	var own []*corev1.Pod
	for _, o := range pods.List() {
		if p := o.(*corev1.Pod); metav1.IsControlledBy(p, j) {
			own = append(own, p)
		}
	}
	if j.DeletionTimestamp != nil {
		for _, p := range own {
			c.client.CoreV1().Pods(p.Namespace).Delete(c.ctx, p.Name, metav1.DeleteOptions{})
		}
		if len(own) == 0 && len(j.Finalizers) > 0 {
			c.client.BatchV1().Jobs(j.Namespace).Patch(c.ctx, j.Name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
		}
		return
	}
	if len(own) > 0 || len(j.Status.Conditions) > 0 || j.Spec.Parallelism != nil && *j.Spec.Parallelism == 0 || c.Make != nil && !c.Make(j) {
		return
	}
	p := &corev1.Pod{ObjectMeta: *j.Spec.Template.ObjectMeta.DeepCopy(), Spec: *j.Spec.Template.Spec.DeepCopy()}
	p.Name = j.Name + "-pod"
	p.Labels[batchv1.JobNameLabel] = j.Name
	p.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(j, batchv1.SchemeGroupVersion.WithKind("Job"))}
	p.Spec.NodeName = p.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0].MatchFields[0].Values[0]
	c.client.CoreV1().Pods(j.Namespace).Create(c.ctx, p, metav1.CreateOptions{})
}

// pod ends a Job whose pod has failed or is gone.
func (c *Controllers) pod(p *corev1.Pod, of func(*corev1.Pod) *batchv1.Job) {
	if p.Status.Phase != corev1.PodFailed {
		return
	}
	if j := of(p); j != nil {
		c.failed(j)
	}
}

func (c *Controllers) failed(j *batchv1.Job) {
	if len(j.Status.Conditions) == 0 {
		now := time.Now().UTC().Format(time.RFC3339)
		c.client.BatchV1().Jobs(j.Namespace).Patch(c.ctx, j.Name, types.MergePatchType, fmt.Appendf(nil,
			`{"status":{"failed":1,"startTime":%q,"conditions":[{"type":"FailureTarget","status":"True","reason":"BackoffLimitExceeded","message":"Job has reached the specified backoff limit"},{"type":"Failed","status":"True","reason":"BackoffLimitExceeded","message":"Job has reached the specified backoff limit"}]}}`, now), metav1.PatchOptions{}, "status")
	}
}
