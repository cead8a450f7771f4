// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/falcotest/go-falcotest/internal/nodes/lines"
	"github.com/falcotest/go-falcotest/internal/nodes/manifest"
)

// tailOf is how many lines of a pod's own output are kept.
const tailOf = 12

// log is how far the log of a pod has been read.
type log struct {
	r      *Run
	n      *state
	pod    string
	reader *lines.Reader
	last   time.Time // of the latest line
	gap    error     // a line that was missing
}

// follow reads the log of a node's pod until its last message, through breaks.
func (r *Run) follow(ctx context.Context, n *state) *Failure {
	l := &log{r: r, n: n, pod: n.podName(), reader: lines.NewReader(r.opts.Manifest.Run)}
	const shortest, longest = 100 * time.Millisecond, 5 * time.Second
	pause, whole, ends := shortest, false, 0
	var broke error // why the log could not be read the last time
	for {
		// What is known before the log is read tells whether its end is the last.
		n.mu.Lock()
		pod, podGone, ended := n.pod, n.podGone, n.ended
		n.mu.Unlock()
		before := l.last
		err := l.attend(ctx, whole)
		switch {
		case l.reader.Ended():
			return nil
		case ctx.Err() != nil:
			f := r.interrupted(ctx)
			if broke != nil {
				f.Reason += "; its log could not be read: " + broke.Error()
			}
			return f
		case errors.Is(err, errAway):
			return r.away(n)
		case l.gap != nil && whole:
			return &Failure{Reason: fmt.Sprintf("the pod's log is not whole: %v", l.gap), Hint: "the node's kubelet keeps too little of a container's log (containerLogMaxSize, containerLogMaxFiles)"}
		case l.gap != nil:
			l.gap, whole = nil, true
			continue
		case err != nil && apierrors.IsForbidden(err):
			return &Failure{Reason: r.refused(err, "reading the pod's log").Error()}
		case podGone:
			return r.away(n)
		case err == nil && terminated(pod) != nil && !l.last.After(before):
			// An API server may end a log well whose connection to the kubelet broke.
			if ends++; ends == 3 {
				return &Failure{Reason: podFailed(pod)}
			}
		case ended != nil && !itsPods(ended):
			return r.away(n)
		}
		whole, broke = false, err
		if l.last.After(before) {
			pause = shortest
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-n.changed:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
		}
		pause = min(2*pause, longest)
		n.mu.Lock()
		lost := n.unready != "" || n.gone
		n.mu.Unlock()
		if lost {
			if f := r.lost(ctx, n); f != nil {
				return f
			}
		}
	}
}

// errAway tells that a log goes on to be open, though who writes it is away.
var errAway = errors.New("the pod is away")

// attend reads the log, and ends that when the pod or its node has been away for long.
func (l *log) attend(ctx context.Context, whole bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	read := make(chan error, 1)
	go func() { read <- l.read(ctx, whole) }()
	var late <-chan time.Time
	for {
		if patience := l.r.patience(l.n); patience == 0 {
			late = nil
		} else if late == nil {
			timer := time.NewTimer(patience)
			defer timer.Stop()
			late = timer.C
		}
		select {
		case err := <-read:
			return err
		case <-l.n.changed:
		case <-late:
			cancel()
			if <-read; l.reader.Ended() || l.gap != nil {
				return nil
			}
			return errAway
		}
	}
}

// logEndsWithin is how long a log may stay open after its pod.
const logEndsWithin = 10 * time.Second

// patience is how long to wait for more of a log, 0 for as long as it takes.
func (r *Run) patience(n *state) time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.podGone, n.ended != nil, terminated(n.pod) != nil:
		return min(logEndsWithin, r.opts.Lost)
	case n.unready != "", n.gone:
		return r.opts.Lost
	}
	return 0
}

// away says why no more is to be expected of a pod.
func (r *Run) away(n *state) *Failure {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.ended != nil && !itsPods(n.ended):
		return &Failure{Reason: "the node's Job ended before it was done: " + condition(n.ended)}
	case n.podGone:
		return &Failure{Reason: podDeleted(n.pod)}
	case terminated(n.pod) != nil:
		return &Failure{Reason: podFailed(n.pod)}
	case n.gone:
		return &Failure{Reason: "the node is no more"}
	}
	return &Failure{Reason: "the node is not ready: " + n.unready, Hint: "see to the node's kubelet and container runtime, then run again"}
}

// deleted says why a pod went, as far as it told.
func deleted(pod *corev1.Pod) string {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.DisruptionTarget {
			return reasonAnd(c.Reason, c.Message)
		}
	}
	if pod.Status.Reason != "" {
		return reasonAnd(pod.Status.Reason, pod.Status.Message)
	}
	return "the node was drained, or somebody deleted it"
}

// read follows the log from where it is known, or the whole, until it ends or breaks.
func (l *log) read(ctx context.Context, whole bool) error {
	opts := &corev1.PodLogOptions{Container: manifest.Container, Follow: true, Timestamps: true}
	if !l.last.IsZero() && !whole {
		opts.SinceTime = &metav1.Time{Time: l.last} // whose resolution is seconds
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := l.r.core.Pods(l.r.opts.Manifest.Namespace).GetLogs(l.pod, opts).Stream(ctx)
	if err != nil {
		return err
	}
	defer stream.Close()
	in := bufio.NewReaderSize(stream, 4<<10)
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		if errors.Is(err, bufio.ErrBufferFull) && len(line) < maxLine {
			continue
		}
		if errors.Is(err, io.EOF) {
			return nil // a line without an end was not written to its end
		}
		if err != nil {
			return err
		}
		if err := l.take(bytes.TrimSuffix(line, []byte("\n"))); err != nil {
			l.gap = err
			return nil
		}
		if l.reader.Ended() {
			return nil
		}
		line = line[:0]
	}
}

// maxLine bounds the memory for one line of a log: ours are shorter.
const maxLine = 64 << 10

// take takes a line with its time.
func (l *log) take(line []byte) error {
	stamp, rest, _ := bytes.Cut(line, []byte(" "))
	at, err := time.Parse(time.RFC3339Nano, string(stamp))
	if err != nil {
		rest = line // a kubelet's own, or the rest of a line that was too long
	}
	m, output, gap := l.reader.Line(rest)
	if gap != nil {
		return gap
	}
	if output != "" && (at.IsZero() || at.After(l.last)) {
		n := l.n
		if len(output) > 400 {
			output = output[:400] + "…"
		}
		n.output = append(n.output[max(0, len(n.output)-tailOf+1):], output)
	}
	if at.After(l.last) {
		l.last = at
	}
	if m != nil {
		l.r.opts.Handle(l.n.Name, m)
	}
	return nil
}
