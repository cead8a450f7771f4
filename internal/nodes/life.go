// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	watchtools "k8s.io/client-go/tools/watch"

	"github.com/falcotest/go-falcotest/internal/nodes/manifest"
)

// leaseFor is how long a run counts as alive that does not say so.
var leaseFor = 60 * time.Second

const (
	// goneWithin bounds the wait until what was deleted is gone, and answersWithin that
	// for an API server that does not answer.
	goneWithin    = 60 * time.Second
	answersWithin = 20 * time.Second
)

func (r *Run) makeNamespace() error {
	if !r.opts.Manifest.CreateNamespace {
		return nil
	}
	ns := manifest.Namespace(r.opts.Manifest)
	_, err := r.core.Namespaces().Create(r.ctx, ns, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating the namespace %s: there is one already: leave it to the run to use it as it is, or name another", ns.Name)
	}
	if err != nil {
		return r.refused(err, "creating the namespace "+ns.Name)
	}
	r.madeNS = true
	return nil
}

// limit bounds the whole run: all its turns.
func (r *Run) limit() time.Duration {
	turns := (len(r.nodes) + r.opts.Parallel - 1) / r.opts.Parallel
	return time.Duration(turns)*(r.opts.Manifest.Deadline+grace) + grace
}

func (r *Run) makeAnchor() error {
	anchor, err := r.batch.Jobs(r.opts.Manifest.Namespace).Create(r.ctx, manifest.Anchor(r.opts.Manifest, r.limit()), metav1.CreateOptions{})
	if err != nil {
		return r.refused(err, "making a Job in the namespace "+r.opts.Manifest.Namespace)
	}
	r.anchor = anchor
	return nil
}

// holdLease makes the run's lease, and renews it until the run ends.
func (r *Run) holdLease() error {
	host, _ := os.Hostname()
	leases := r.lease.Leases(r.opts.Manifest.Namespace)
	lease := manifest.Lease(r.opts.Manifest, fmt.Sprintf("%s/%d", host, os.Getpid()), leaseFor, time.Now())
	lease.OwnerReferences = ownedBy(r.anchor)
	lease, err := leases.Create(r.ctx, lease, metav1.CreateOptions{})
	if err != nil {
		return r.refused(err, "making the run's lease")
	}
	r.work.Go(func() {
		tick := time.NewTicker(leaseFor / 4)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-r.ctx.Done():
				return
			}
			now := metav1.NowMicro()
			lease.Spec.RenewTime = &now
			ctx, cancel := context.WithTimeout(r.ctx, askWithin)
			renewed, err := leases.Update(ctx, lease, metav1.UpdateOptions{})
			cancel()
			switch {
			case err == nil:
				lease = renewed
			case apierrors.IsNotFound(err):
				r.cancel(errors.New("somebody deleted the run's lease: another run took this one for dead, or what it made was deleted by hand"))
			case apierrors.IsConflict(err): // an update whose answer was lost
				if current, err := leases.Get(r.ctx, lease.Name, metav1.GetOptions{}); err == nil {
					lease = current
				}
			}
		}
	})
	return nil
}

// share makes what the pods need.
func (r *Run) share() error {
	account := manifest.ServiceAccount(r.opts.Manifest)
	account.OwnerReferences = ownedBy(r.anchor)
	if _, err := r.core.ServiceAccounts(r.opts.Manifest.Namespace).Create(r.ctx, account, metav1.CreateOptions{}); err != nil {
		return r.refused(err, "making the pods' ServiceAccount")
	}
	service := manifest.Service(r.opts.Manifest)
	if service == nil {
		return nil
	}
	service.OwnerReferences = ownedBy(r.anchor)
	_, err := r.core.Services(r.opts.Manifest.Namespace).Create(r.ctx, service, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("making the Service %s, by which the nodes' Falcos reach the pods: there is one already in the namespace %s: another run has the Falcos; wait until it is over", service.Name, r.opts.Manifest.Namespace)
	}
	if err != nil {
		return r.refused(err, "making the Service by which the nodes' Falcos reach the pods")
	}
	r.serves = true
	return nil
}

// Close ends what runs still, deletes all that the run made, and waits until it is
// gone. Only the first call does anything. The context bounds it.
func (r *Run) Close(ctx context.Context) error {
	r.closing.Do(func() {
		r.cancel(errors.New("the run ended"))
		r.jobs.Wait()
		r.work.Wait()
		if err := r.remove(ctx); err != nil {
			r.closed = fmt.Errorf("deleting what the run %s made in the namespace %s: %w (it goes by itself %s after its deadline, or with the next run)", r.opts.Manifest.Run, r.opts.Manifest.Namespace, err, r.opts.Manifest.Keep)
		}
	})
	return r.closed
}

func (r *Run) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, goneWithin, fmt.Errorf("it was not gone within %s", goneWithin))
	defer cancel()
	r.bury(ctx)
	if r.madeNS {
		return r.removeNamespace(ctx, r.opts.Manifest.Namespace)
	}
	if r.anchor == nil {
		return nil
	}
	err := r.again(ctx, func() error {
		return r.core.ServiceAccounts(r.opts.Manifest.Namespace).Delete(ctx, r.opts.Manifest.Name(), metav1.DeleteOptions{})
	})
	if err == nil && r.serves {
		err = r.again(ctx, func() error {
			return r.core.Services(r.opts.Manifest.Namespace).Delete(ctx, manifest.ServiceName, metav1.DeleteOptions{})
		})
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	return r.removeRun(ctx, r.opts.Manifest.Namespace, r.opts.Manifest.Run)
}

// bury deletes the pods of nodes that are lost, whose kubelets do not say that they
// ended, so that they and their Jobs would stay.
func (r *Run) bury(ctx context.Context) {
	now := int64(0)
	for _, n := range r.nodes {
		n.mu.Lock()
		pod, lost := n.pod, n.pod != nil && !n.podGone && (n.unready != "" || n.gone)
		n.mu.Unlock()
		if lost {
			err := r.core.Pods(r.opts.Manifest.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &now, Preconditions: metav1.NewUIDPreconditions(string(pod.UID))})
			if err != nil && !apierrors.IsNotFound(err) {
				r.opts.Logf("deleting the pod %s of the node %s, which is lost: %v", pod.Name, n.Name, err)
			}
		}
	}
}

// removeRun deletes the Jobs and the lease of a run, and waits until the Jobs are gone,
// which go after their pods.
func (r *Run) removeRun(ctx context.Context, namespace, run string) error {
	jobs := r.batch.Jobs(namespace)
	foreground := metav1.DeletePropagationForeground
	of := metav1.ListOptions{LabelSelector: manifest.LabelRun + "=" + run}
	err := r.again(ctx, func() error {
		return jobs.DeleteCollection(ctx, metav1.DeleteOptions{PropagationPolicy: &foreground}, of)
	})
	if err != nil {
		return err
	}
	err = r.again(ctx, func() error {
		return r.lease.Leases(namespace).Delete(ctx, manifest.Options{Run: run}.Name(), metav1.DeleteOptions{})
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	left := func(o runtime.Object) int { return len(o.(*batchv1.JobList).Items) }
	return r.untilGone(ctx, func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
		o.LabelSelector = of.LabelSelector
		return jobs.List(ctx, o)
	}, func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
		o.LabelSelector = of.LabelSelector
		return jobs.Watch(ctx, o)
	}, left)
}

func (r *Run) removeNamespace(ctx context.Context, name string) error {
	all := r.core.Namespaces()
	err := r.again(ctx, func() error { return all.Delete(ctx, name, metav1.DeleteOptions{}) })
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	only := "metadata.name=" + name
	left := func(o runtime.Object) int { return len(o.(*corev1.NamespaceList).Items) }
	return r.untilGone(ctx, func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
		o.FieldSelector = only
		return all.List(ctx, o)
	}, func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
		o.FieldSelector = only
		return all.Watch(ctx, o)
	}, left)
}

// untilGone waits until a list is empty.
func (r *Run) untilGone(ctx context.Context, list func(context.Context, metav1.ListOptions) (runtime.Object, error), follow func(context.Context, metav1.ListOptions) (watch.Interface, error), left func(runtime.Object) int) error {
	for {
		var found runtime.Object
		err := r.again(ctx, func() (err error) {
			found, err = list(ctx, metav1.ListOptions{})
			return err
		})
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		n := left(found)
		if n == 0 {
			return nil
		}
		version := found.(metav1.ListInterface).GetResourceVersion()
		w, err := follow(ctx, metav1.ListOptions{ResourceVersion: version})
		if err != nil && !passing(err) {
			return err
		}
		if err != nil {
			continue
		}
		_, err = watchtools.UntilWithoutRetry(ctx, w, func(e watch.Event) (bool, error) {
			if e.Type == watch.Deleted {
				n--
			}
			return n == 0, nil
		})
		w.Stop()
		if err == nil {
			return nil
		}
	}
}

// sweep deletes what runs left that were killed: those whose lease is no longer
// renewed. Times are the API server's alone, so that no clocks are compared.
func (r *Run) sweep(ctx context.Context) error {
	of := metav1.ListOptions{LabelSelector: manifest.LabelPartOf + "=" + manifest.PartOf + "," + manifest.LabelRun}
	now, err := r.serverTime(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, goneWithin, fmt.Errorf("it was not gone within %s", goneWithin))
	defer cancel()
	leases, err := r.lease.Leases(r.opts.Manifest.Namespace).List(ctx, of)
	if err != nil {
		return r.refused(err, "looking for what earlier runs left")
	}
	alive, runs := map[string]time.Time{}, map[string]time.Time{}
	for i := range leases.Items {
		l := &leases.Items[i]
		alive[l.Labels[manifest.LabelRun]] = changedAt(&l.ObjectMeta)
		runs[l.Labels[manifest.LabelRun]] = changedAt(&l.ObjectMeta)
	}
	jobs, err := r.batch.Jobs(r.opts.Manifest.Namespace).List(ctx, of)
	if err != nil {
		return r.refused(err, "looking for what earlier runs left")
	}
	for i := range jobs.Items {
		if j := &jobs.Items[i]; alive[j.Labels[manifest.LabelRun]].IsZero() {
			runs[j.Labels[manifest.LabelRun]] = later(runs[j.Labels[manifest.LabelRun]], j.CreationTimestamp.Time)
		}
	}
	for run, seen := range runs {
		if run == r.opts.Manifest.Run || run == "" || now.Sub(seen) < leaseFor {
			continue
		}
		r.opts.Logf("deleting what the run %s left in the namespace %s, which was last seen at %s", run, r.opts.Manifest.Namespace, seen.UTC().Format(time.RFC3339))
		if err := r.removeRun(ctx, r.opts.Manifest.Namespace, run); err != nil {
			r.opts.Logf("deleting what the run %s left: %v", run, err)
		}
	}
	if r.opts.Manifest.CreateNamespace {
		return r.sweepNamespaces(ctx, of, now)
	}
	return nil
}

// sweepNamespaces deletes namespaces that earlier runs made and left.
func (r *Run) sweepNamespaces(ctx context.Context, of metav1.ListOptions, now time.Time) error {
	list, err := r.core.Namespaces().List(ctx, of)
	if err != nil {
		return r.refused(err, "looking for namespaces that earlier runs made")
	}
	for i := range list.Items {
		ns := &list.Items[i]
		seen := ns.CreationTimestamp.Time
		lease, err := r.lease.Leases(ns.Name).Get(ctx, manifest.Options{Run: ns.Labels[manifest.LabelRun]}.Name(), metav1.GetOptions{})
		if err == nil {
			seen = later(seen, changedAt(&lease.ObjectMeta))
		} else if !apierrors.IsNotFound(err) {
			continue
		}
		if now.Sub(seen) < leaseFor {
			continue
		}
		r.opts.Logf("deleting the namespace %s, which the run %s made and left", ns.Name, ns.Labels[manifest.LabelRun])
		if err := r.removeNamespace(ctx, ns.Name); err != nil {
			r.opts.Logf("deleting the namespace %s: %v", ns.Name, err)
		}
	}
	return nil
}

// serverTime is what the API server's clock says: it is asked to make an object, but for
// keeping it.
func (r *Run) serverTime(ctx context.Context) (time.Time, error) {
	dry := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	if r.opts.Manifest.CreateNamespace {
		ns, err := r.core.Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "falcotest-"}}, dry)
		if err != nil {
			return time.Time{}, r.refused(err, "making a namespace (nothing was made, it was a trial)")
		}
		return ns.CreationTimestamp.Time, nil
	}
	lease, err := r.lease.Leases(r.opts.Manifest.Namespace).Create(ctx, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{GenerateName: "falcotest-"}}, dry)
	if apierrors.IsNotFound(err) {
		return time.Time{}, fmt.Errorf("using the namespace %s: there is no such namespace: make it, or have the run make one (Nodes.CreateNamespace, FALCOTEST_NODES_CREATE_NAMESPACE=1): %w", r.opts.Manifest.Namespace, err)
	}
	if err != nil {
		return time.Time{}, r.refused(err, "making a lease in the namespace "+r.opts.Manifest.Namespace+" (nothing was made, it was a trial)")
	}
	return lease.CreationTimestamp.Time, nil
}

// changedAt is when an object was changed last, as the API server notes it.
func changedAt(m *metav1.ObjectMeta) time.Time {
	at := m.CreationTimestamp.Time
	for _, f := range m.ManagedFields {
		if f.Time != nil {
			at = later(at, f.Time.Time)
		}
	}
	return at
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
