// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package replaying

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/falco"
	"github.com/falcotest/go-falcotest/internal/journal"
	"github.com/falcotest/go-falcotest/internal/judge"
	"github.com/falcotest/go-falcotest/internal/judge/builtin"
	"github.com/falcotest/go-falcotest/internal/outputs"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/result"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/source"
)

// Falco is one that judges what was traced here: each action is recorded,
// and the recordings that have come together are replayed in one go. What the
// Falco says goes the way of the built-in engine's alerts, which are compared with
// them.
type Falco struct {
	*builtin.Judge
	brief  *judge.Brief
	falco  *falco.Replayer
	folder *journal.Dir // for recordings, when it is ours

	mu       sync.Mutex
	running  int           // actions whose recordings are not whole
	idle     chan struct{} // closed when none runs
	waiting  []*traced
	replayed chan struct{} // closed when the replay that runs has ended, nil when none does
	err      error
	differ   []string
}

// traced is a recording that waits for the Falco.
type traced struct {
	recording falco.Recording
	action    string
	id        string // of the run
	alerts    []*alert.Alert
}

// Open looks for the Falco, and starts the built-in engine.
func Open(ctx context.Context, b *judge.Brief) (_ *Falco, err error) {
	r := &Falco{}
	if b.Settings.Record == "" {
		if r.folder, err = journal.CreatePrivate("", "recordings-"+rand.Text()[:12]); err != nil {
			return nil, fmt.Errorf("making a folder for recordings: %w", err)
		}
		recorded := *b.Settings
		recorded.Record = r.folder.Path()
		b.Settings = &recorded
	}
	defer func() {
		if err != nil && r.folder != nil {
			r.folder.Close()
		}
	}()
	path, err := falco.Executable(b.Settings.Falco, "replay")
	if err != nil {
		return nil, fmt.Errorf("starting a Falco: %w", err)
	}
	opts, err := b.FalcoOptions(path)
	if err != nil {
		return nil, fmt.Errorf("starting a Falco: %w", err)
	}
	opts.Outputs = outputs.Options{Logf: func(string, ...any) {}}
	if r.falco, err = falco.NewReplayer(ctx, opts); err != nil {
		return nil, err
	}
	if r.Judge, err = builtin.Open(ctx, b); err != nil {
		return nil, errors.Join(err, r.falco.Close())
	}
	r.brief = b
	r.Settled = r.settle
	return r, nil
}

// Name says which program it is.
func (r *Falco) Name() string {
	return judge.FalcoName(r.falco.Version(), r.falco.Path()) + ", replaying what was traced here"
}

// Unsupported: a Falco knows all fields that there are, so only rules that are off
// remain; and events that are not traced are not in recordings.
func (r *Falco) Unsupported(rule *rules.Rule) string {
	if !judge.OfDriver(rule) {
		return r.Judge.Unsupported(rule)
	}
	if status, _ := r.Engine.Status(rule.Name); status == engine.Disabled {
		return r.Judge.Unsupported(rule)
	}
	return ""
}

// Watch traces and records the child, or keeps the events that come by a stream.
func (r *Falco) Watch(ctx context.Context, c *child.Child, sel *plan.Action) (judge.Watcher, error) {
	if r.brief.Streams[sel.Source()] != nil {
		return r.Judge.Watch(ctx, c, sel)
	}
	t := &traced{action: sel.Name, id: c.ID()}
	r.started()
	w, err := r.Trace(ctx, c, sel, func(a *alert.Alert) { t.alerts = append(t.alerts, a) }, &builtin.Replay{
		Ended: r.ended,
		Done: func(rec falco.Recording) {
			t.recording = rec
			t.recording.ID = t.id
			r.mu.Lock()
			defer r.mu.Unlock()
			r.waiting = append(r.waiting, t)
		},
	})
	if err != nil {
		r.ended()
		return nil, err // and no watcher
	}
	return &beside{w, t}, nil
}

// beside watches an action that the Falco judges too.
type beside struct {
	*builtin.Traced
	action *traced
}

var _ judge.Beside = (*beside)(nil)

// Alerts are the built-in engine's, after the action's end.
func (b *beside) Alerts() []*alert.Alert { return b.action.alerts }

// InContainer is known after the action's end, too.
func (b *beside) InContainer() bool { return b.action.recording.InContainer }

// started and ended count the actions that are being recorded.
func (r *Falco) started() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running++; r.running == 1 {
		r.idle = make(chan struct{})
	}
}

func (r *Falco) ended() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running--; r.running == 0 {
		close(r.idle)
	}
}

// patience is how long a recording waits for those of the actions that run beside
// it, to be replayed with them: a Falco takes as long to start.
const patience = time.Second

// together waits for the actions that run now.
func (r *Falco) together(ctx context.Context) {
	r.mu.Lock()
	idle, running := r.idle, r.running
	r.mu.Unlock()
	if running == 0 {
		return
	}
	enough := time.NewTimer(patience)
	defer enough.Stop()
	select {
	case <-idle:
	case <-enough.C:
	case <-ctx.Done():
	}
}

// settle returns when all recordings that wait have been judged. While one replay
// runs, or other actions do, recordings come together for the next.
func (r *Falco) settle(ctx context.Context) error {
	r.together(ctx)
	for {
		r.mu.Lock()
		running, mine := r.replayed, r.waiting
		switch {
		case r.err != nil:
			r.mu.Unlock()
			return r.err
		case running != nil:
			r.mu.Unlock()
			select {
			case <-running:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			continue
		case len(mine) == 0:
			r.mu.Unlock()
			return nil
		}
		r.replayed, r.waiting = make(chan struct{}), nil
		r.mu.Unlock()
		err := r.replay(mine)
		r.mu.Lock()
		close(r.replayed)
		r.replayed = nil
		if err != nil {
			r.err = err
		}
		r.mu.Unlock()
	}
}

// replay has the Falco judge recordings. It does not end with the caller's
// context, since others wait for the same replay.
func (r *Falco) replay(list []*traced) error {
	var recordings []falco.Recording
	var judged []*traced
	for _, t := range list {
		if t.recording.Events > 0 {
			recordings, judged = append(recordings, t.recording), append(judged, t)
		}
	}
	all, err := r.falco.Judge(context.Background(), recordings)
	if err != nil {
		return err
	}
	for i, t := range judged {
		r.compare(t, all[i])
		for _, a := range all[i] {
			for _, field := range source.ByName(source.Default).ID {
				a.Fields[field] = t.id // the recording is this action's
			}
			r.Publish(a)
		}
	}
	return nil
}

// compare notes where the Falco and the built-in engine make different alerts of
// the same events.
func (r *Falco) compare(t *traced, falcos []*alert.Alert) {
	theirs, ours := signs(falcos), signs(t.alerts)
	r.mu.Lock()
	defer r.mu.Unlock()
	for sign, a := range theirs {
		if ours[sign] == nil {
			if status, _ := r.Engine.Status(a.Rule); status != engine.Unsupported {
				r.differ = append(r.differ, fmt.Sprintf("%s: this Falco alerts and the built-in engine does not: %s: %s", t.action, a.Rule, result.OneLine(a.Bare())))
			}
		}
	}
	for sign, a := range ours {
		if theirs[sign] == nil {
			r.differ = append(r.differ, fmt.Sprintf("%s: the built-in engine alerts and this Falco does not: %s: %s", t.action, a.Rule, result.OneLine(a.Bare())))
		}
	}
}

// signs are alerts by what must be equal: the rule, and the time of the event.
func signs(alerts []*alert.Alert) map[string]*alert.Alert {
	m := make(map[string]*alert.Alert, len(alerts))
	for _, a := range alerts {
		m[fmt.Sprintf("%s %d", a.Rule, a.Time.UnixNano())] = a
	}
	return m
}

// Replays is true.
func (r *Falco) Replays() bool { return true }

// Advice tells of differences between the engines: faults of the built-in one, or
// of what it records.
func (r *Falco) Advice() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.differ) == 0 {
		return ""
	}
	return "the built-in engine and this Falco judge the same events differently; nothing is concluded of the rules that were tested. " +
		"Rules that ask for proc.duration or another age differ because a recording does not say since when " +
		"the processes run that were there before it began, and those that ask for names of hosts (fd.sip.name) " +
		"because this Falco does not see the action's hosts file; anything else is a fault of the built-in engine, please report it:\n    " +
		strings.Join(r.differ, "\n    ")
}

// Close ends both engines.
func (r *Falco) Close() error {
	err := errors.Join(r.Judge.Close(), r.falco.Close())
	if r.folder != nil {
		_, removed := r.folder.Close()
		err = errors.Join(err, removed)
	}
	return err
}
