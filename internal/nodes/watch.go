// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"context"
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/falcotest/go-falcotest/internal/nodes/manifest"
)

// watches are one for each kind of object, of all nodes together. They go on by
// themselves after a break, from where it was.
type watches struct {
	jobs, pods cache.SharedInformer
}

// kind is a kind of object that is watched.
type kind[L runtime.Object] struct {
	object runtime.Object
	list   func(context.Context, metav1.ListOptions) (L, error)
	watch  func(context.Context, metav1.ListOptions) (watch.Interface, error)
}

// inform watches the objects that the options select. The handler is given each as it
// is now; gone is true for one that is no more.
func inform[L runtime.Object](r *Run, k kind[L], tune func(*metav1.ListOptions), handle func(object any, gone bool)) (cache.SharedInformer, error) {
	informer := cache.NewSharedInformer(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			tune(&o)
			return k.list(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			tune(&o)
			return k.watch(ctx, o)
		},
	}, k.object, 0)
	if err := informer.SetTransform(slim); err != nil {
		return nil, err
	}
	err := informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) {
		if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
			r.cancel(r.refused(err, fmt.Sprintf("watching the cluster (%T)", k.object)))
		}
	})
	if err != nil {
		return nil, err
	}
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { handle(o, false) },
		UpdateFunc: func(_, o any) { handle(o, false) },
		DeleteFunc: func(o any) {
			if last, ok := o.(cache.DeletedFinalStateUnknown); ok {
				o = last.Obj
			}
			handle(o, true)
		},
	})
	if err != nil {
		return nil, err
	}
	r.work.Go(func() { informer.RunWithContext(r.ctx) })
	return informer, nil
}

// slim takes from an object what is not looked at, since there may be thousands.
func slim(o any) (any, error) {
	if m, err := meta.Accessor(o); err == nil {
		m.SetManagedFields(nil)
	}
	switch o := o.(type) {
	case *corev1.Node:
		o.Spec, o.Status = corev1.NodeSpec{}, corev1.NodeStatus{Conditions: o.Status.Conditions}
	case *corev1.Pod:
		o.Spec = corev1.PodSpec{NodeName: o.Spec.NodeName}
	case *batchv1.Job:
		o.Spec = batchv1.JobSpec{}
	}
	return o, nil
}

// watch begins to watch, and returns when what there is is known.
func (r *Run) watch() error {
	r.watched = &watches{}
	ours := func(o *metav1.ListOptions) { o.LabelSelector = manifest.LabelRun + "=" + r.opts.Manifest.Run }
	jobs, pods, events := r.batch.Jobs(r.opts.Manifest.Namespace), r.core.Pods(r.opts.Manifest.Namespace), r.core.Events(r.opts.Manifest.Namespace)
	var err error
	if r.watched.jobs, err = inform(r, kind[*batchv1.JobList]{&batchv1.Job{}, jobs.List, jobs.Watch}, ours, r.sawJob); err != nil {
		return err
	}
	if r.watched.pods, err = inform(r, kind[*corev1.PodList]{&corev1.Pod{}, pods.List, pods.Watch}, ours, r.sawPod); err != nil {
		return err
	}
	nodes, err := inform(r, kind[*corev1.NodeList]{&corev1.Node{}, r.core.Nodes().List, r.core.Nodes().Watch},
		func(o *metav1.ListOptions) { o.LabelSelector = r.opts.Selector }, r.sawNode)
	if err != nil {
		return err
	}
	// Why a Job has no pod stands nowhere but in its events.
	failing, err := inform(r, kind[*corev1.EventList]{&corev1.Event{}, events.List, events.Watch},
		func(o *metav1.ListOptions) { o.FieldSelector = "involvedObject.kind=Job,type=Warning" }, r.sawEvent)
	if err != nil {
		return err
	}
	if !cache.WaitForCacheSync(r.ctx.Done(), r.watched.jobs.HasSynced, r.watched.pods.HasSynced, nodes.HasSynced, failing.HasSynced) {
		return fmt.Errorf("watching the cluster: %w", context.Cause(r.ctx))
	}
	return nil
}

func (r *Run) sawJob(o any, gone bool) {
	job, ok := o.(*batchv1.Job)
	if !ok || r.byJob[job.Name] == nil {
		return
	}
	n := r.byJob[job.Name]
	n.update(func() {
		n.jobGone = gone || job.DeletionTimestamp != nil
		for i, c := range job.Status.Conditions {
			if c.Type == batchv1.JobFailed && c.Status == corev1.ConditionTrue {
				n.ended = &job.Status.Conditions[i]
			}
		}
	})
}

func (r *Run) sawPod(o any, gone bool) {
	pod, ok := o.(*corev1.Pod)
	if !ok {
		return
	}
	if n := r.byJob[pod.Labels[batchv1.JobNameLabel]]; n != nil {
		n.update(func() {
			// One that comes in the place of one that ran would tell what was told.
			if n.pod == nil || n.pod.UID == pod.UID || !hasRun(n.pod) {
				n.pod, n.podGone = pod, gone
			}
		})
	}
}

func (r *Run) sawNode(o any, gone bool) {
	node, ok := o.(*corev1.Node)
	if !ok {
		return
	}
	if n := r.byNode[node.Name]; n != nil {
		n.update(func() { n.unready, n.gone = unready(node), gone })
	}
}

func (r *Run) sawEvent(o any, gone bool) {
	e, ok := o.(*corev1.Event)
	if !ok || gone {
		return
	}
	n := r.byJob[e.InvolvedObject.Name]
	if n == nil {
		return
	}
	line := reasonAnd(e.Reason, e.Message)
	n.update(func() {
		if !slices.Contains(n.warnings, line) {
			n.warnings = append(n.warnings[max(0, len(n.warnings)-4):], line)
		}
	})
}
