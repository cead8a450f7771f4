// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/falcotest/go-falcotest/internal/nodes/manifest"
)

// Failure is why a node was not judged, or not to the end. It says nothing of the
// node's Falco.
type Failure struct {
	Reason string   // in a line
	Hint   string   // what to do about it
	Events []string // what the cluster says of the node, the Job and its pod
	Output []string // the last lines of the pod's own output
}

func (f *Failure) Error() string {
	var b strings.Builder
	b.WriteString(f.Reason)
	for _, e := range f.Events {
		b.WriteString("\n  event     " + e)
	}
	for _, o := range f.Output {
		b.WriteString("\n  output    " + o)
	}
	if f.Hint != "" {
		b.WriteString("\n  next      " + f.Hint)
	}
	return b.String()
}

// refused says what the API server does not allow.
func (r *Run) refused(err error, doing string) error {
	if apierrors.IsForbidden(err) && !strings.Contains(err.Error(), "exceeded quota") {
		return fmt.Errorf("%s: the user of this kubeconfig may not: %w (go tool falcotest manifest prints the rights that a run needs)", doing, err)
	}
	if apierrors.IsUnauthorized(err) {
		return fmt.Errorf("%s: the API server does not know the user of this kubeconfig: %w", doing, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// hintOf says what to do about a message of the cluster's.
func (r *Run) hintOf(text string) string {
	if sentence, ok := manifest.Refused(r.opts.Manifest, text); ok {
		return sentence
	}
	if strings.Contains(text, "exceeded quota") || strings.Contains(text, "failed quota") {
		return "the namespace's quota leaves no room for the pod: lower FALCOTEST_NODES_PARALLEL, or use a namespace without that quota"
	}
	return ""
}

// events lists what the cluster says of an object, the latest last. Nothing is said
// where the user may not read events.
func (r *Run) events(ctx context.Context, namespace, kind, name string) []string {
	list, err := r.core.Events(namespace).List(ctx, metav1.ListOptions{Limit: 200, FieldSelector: fields.Set{
		"involvedObject.kind": kind, "involvedObject.name": name,
	}.String()})
	if err != nil {
		return nil
	}
	slices.SortStableFunc(list.Items, func(a, b corev1.Event) int { return eventTime(&a).Compare(eventTime(&b).Time) })
	var lines []string
	for _, e := range list.Items {
		line := fmt.Sprintf("%s %s: %s", strings.ToLower(kind), e.Reason, strings.Join(strings.Fields(e.Message), " "))
		if n := max(e.Count, seriesCount(&e)); n > 1 {
			line += fmt.Sprintf(" (%d times)", n)
		}
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	const most = 5
	return lines[max(0, len(lines)-most):]
}

func seriesCount(e *corev1.Event) int32 {
	if e.Series == nil {
		return 0
	}
	return e.Series.Count
}

func eventTime(e *corev1.Event) *metav1.Time {
	switch {
	case !e.LastTimestamp.IsZero():
		return &e.LastTimestamp
	case !e.EventTime.IsZero():
		return &metav1.Time{Time: e.EventTime.Time}
	}
	return &e.CreationTimestamp
}

// fail completes a failure by what the cluster says.
func (r *Run) fail(ctx context.Context, n *state, f *Failure) *Failure {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askWithin)
	defer cancel()
	if r.ctx.Err() == nil {
		f.Events = append(f.Events, r.events(ctx, metav1.NamespaceDefault, "Node", n.Name)...)
		f.Events = append(f.Events, r.events(ctx, r.opts.Manifest.Namespace, "Job", n.job)...)
		if pod := n.podName(); pod != "" {
			f.Events = append(f.Events, r.events(ctx, r.opts.Manifest.Namespace, "Pod", pod)...)
		}
	}
	if f.Hint == "" {
		f.Hint = r.hintOf(f.Reason + strings.Join(f.Events, "\n"))
	}
	f.Output = n.output
	return f
}
