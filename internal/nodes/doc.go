// SPDX-License-Identifier: Apache-2.0

// Package nodes runs a test binary on the nodes of a Kubernetes cluster, by a Job for
// each node, and hands on what the pods tell, as it comes.
//
// Kubernetes does the work: Jobs are created, at most so many at once, and watched,
// all by one watch for each kind of object; each pod's log is followed through the API
// server, and read on from where it broke. What the pods say is in the words of
// package lines. What keeps a node from being judged is a [Failure], with what the
// cluster itself says of it.
//
// Everything that a run makes bears its labels and is owned by one Job that starts no
// pod, the anchor: it ends by its deadline and goes by its time to live, and the
// garbage collector takes all else with it, should nobody be left to do so. [Run.Close]
// does it at once, and the next run for those that were killed.
//
// It imports internal/nodes/lines, internal/nodes/manifest, whose objects it makes, and
// client-go; it knows neither rules nor Falcos.
package nodes

import (
	"crypto/rand"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/falcotest/go-falcotest/internal/nodes/lines"
	"github.com/falcotest/go-falcotest/internal/nodes/manifest"
)

// NewID returns an id for a run, of letters and digits.
func NewID() string { return strings.ToLower(rand.Text()[:10]) }

// Options say what runs where. Config, Manifest and Handle are needed.
type Options struct {
	Config *rest.Config
	// Manifest says what is made. Its Run is set if it is empty.
	Manifest manifest.Options
	// Selector selects nodes by their labels; "" selects all.
	Selector string
	// Wanted, if set, takes of those nodes the ones that are to be judged.
	Wanted func(node string) bool

	// Parallel bounds how many Jobs there are at once. Default: 50.
	Parallel int
	// Start bounds the time from a Job's creation until its pod runs. Default: 3 min.
	Start time.Duration
	// Lost is how long a node that is not ready is waited for. Default: 1 min, but at
	// most a quarter of the Job's deadline.
	Lost time.Duration

	// Handle takes what a node's pod tells, in its order. Ended is called once for each
	// node, after the last message: without a failure if all has been told. Both are
	// called from several goroutines, but for one node from one at a time.
	Handle func(node string, m *lines.Message)
	Ended  func(node string, failure *Failure)
	// Logf is told what a person may want to know. Default: nobody is told.
	Logf func(format string, args ...any)
}

func (o *Options) defaults() {
	set := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	if o.Parallel <= 0 {
		o.Parallel = 50
	}
	set(&o.Manifest.Deadline, manifest.DefaultDeadline)
	set(&o.Manifest.Keep, manifest.DefaultKeep)
	if o.Manifest.Run == "" {
		o.Manifest.Run = NewID()
	}
	if o.Manifest.Namespace == "" {
		o.Manifest.Namespace = manifest.DefaultNamespace
	}
	set(&o.Start, 3*time.Minute)
	set(&o.Lost, min(time.Minute, o.Manifest.Deadline/4))
	if o.Logf == nil {
		o.Logf = func(string, ...any) {}
	}
	if o.Ended == nil {
		o.Ended = func(string, *Failure) {}
	}
}

func ownedBy(job *batchv1.Job) []metav1.OwnerReference {
	return []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: job.Name, UID: job.UID}}
}
