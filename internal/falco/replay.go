// SPDX-License-Identifier: Apache-2.0

package falco

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/capture"
	"github.com/falcotest/go-falcotest/internal/journal"
	"github.com/falcotest/go-falcotest/internal/outputs"
	"github.com/falcotest/go-falcotest/internal/source"
)

// Replayer has a Falco judge recordings, which needs no privileges. Its methods
// are not safe for concurrent use.
type Replayer struct {
	opts    Options
	path    string
	ver     string
	journal *journal.Dir
	args    []string
	batches int
	// nameless is whether no name server answers here.
	nameless bool
}

// Recording is one that a Falco is to judge.
type Recording struct {
	Path   string
	Events uint64 // that the Falco will count in it
	ID     string // of the action's run, in the environment of its processes

	InContainer bool // a process in it is
}

// NumberField is the field by which alerts are given to their recordings.
const NumberField = "evt.num"

// NewReplayer prepares a Falco: of the options, Path, Rules, ExtraRules, EnableAll,
// Plugins, Options and Outputs.Logf count. Rules that do not load are an error, as
// of [Start].
func NewReplayer(ctx context.Context, opts Options) (*Replayer, error) {
	if runtime.GOOS != "linux" {
		return nil, fmt.Errorf("preparing a Falco that replays: it runs on Linux only, this is %s", runtime.GOOS)
	}
	if opts.Outputs.Logf == nil {
		opts.Outputs.Logf = func(string, ...any) {}
	}
	opts.Engine = "replay"
	r := &Replayer{opts: opts}
	r.nameless = unanswered(ctx, net.DefaultResolver)
	name := opts.Path
	if name == "" {
		name = "falco"
	}
	var err error
	if r.path, err = exec.LookPath(name); err != nil {
		return nil, fmt.Errorf("preparing a Falco that replays: %w", err)
	}
	if r.ver, err = Version(ctx, r.path); err != nil {
		return nil, fmt.Errorf("preparing a Falco that replays: %w", err)
	}
	if r.journal, err = journal.CreateForSocket(rand.Text()[:12], socketName); err != nil {
		return nil, fmt.Errorf("preparing a Falco that replays: %w", err)
	}
	if err := r.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("preparing %s (version %s): %w", r.path, r.ver, err), r.Close())
	}
	return r, nil
}

// captureFile is the option for which file to replay. A Falco that replays wants
// one to be named from the beginning, also where it does not read it.
const captureFile = "engine.replay.capture_file="

// Version is the Falco's.
func (r *Replayer) Version() string { return r.ver }

// Path is its executable.
func (r *Replayer) Path() string { return r.path }

// Close removes what it wrote.
func (r *Replayer) Close() error {
	_, err := r.journal.Close()
	return err
}

func (r *Replayer) prepare(ctx context.Context) error {
	c := config{options: r.opts, plugins: withDefaults(r.path, r.opts.Plugins), replay: true}
	file := filepath.Join(r.journal.Path(), "falco.yaml")
	if err := os.WriteFile(file, c.yaml(), 0o600); err != nil {
		return fmt.Errorf("writing its configuration: %w", err)
	}
	r.args = []string{"-U", "-c", file}
	for _, rules := range append(slices.Clone(r.opts.ExtraRules), r.opts.Rules...) {
		if _, err := os.Stat(rules); err != nil {
			return fmt.Errorf("rules file: %w", err)
		}
		r.args = append(r.args, "-r", rules)
	}
	for _, o := range r.opts.Options {
		r.args = append(r.args, "-o", o)
	}
	var log logTail
	log.logf = r.opts.Outputs.Logf
	cmd := r.command(ctx, "--dry-run", "-o", captureFile+filepath.Join(r.journal.Path(), "none.scap"))
	cmd.Stdout, cmd.Stderr = &log, &log
	err := cmd.Run()
	log.flush()
	if err != nil {
		if reason := log.reason(); reason != nil {
			return reason
		}
		return fmt.Errorf("%w; its log ends:\n%s", err, log.tail(10))
	}
	return nil
}

// withDefaults are the plugins, and those that come with the Falco.
func withDefaults(falco string, plugins []Plugin) []Plugin {
	all := slices.Clone(plugins)
	for _, p := range DefaultPlugins(falco) {
		if !slices.ContainsFunc(plugins, func(own Plugin) bool { return own.Name == p.Name }) {
			all = append([]Plugin{p}, all...)
		}
	}
	return all
}

func (r *Replayer) command(ctx context.Context, more ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, r.path, append(slices.Clone(r.args), more...)...)
	cmd.Dir = r.journal.Path()
	cmd.Env = environment(r.opts.Plugins, r.nameless)
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// Judge has the Falco replay recordings in one go, made one, and returns the alerts of
// each, in the order of the events. Only where two have a thread id in common, the
// Falco is started again.
func (r *Replayer) Judge(ctx context.Context, recordings []Recording) ([][]*alert.Alert, error) {
	var all [][]*alert.Alert
	for len(recordings) > 0 {
		n, alerts, err := r.judgeBatch(ctx, recordings)
		if err != nil {
			return nil, fmt.Errorf("having %s (version %s) replay recordings: %w", r.path, r.ver, err)
		}
		all, recordings = append(all, alerts...), recordings[n:]
	}
	return all, nil
}

// judgeBatch judges as many of the recordings as can be made one, and returns how
// many those are.
func (r *Replayer) judgeBatch(ctx context.Context, recordings []Recording) (int, [][]*alert.Alert, error) {
	merged := capture.NewMerger()
	for i, rec := range recordings {
		err := add(merged, rec.Path)
		if errors.Is(err, capture.ErrSameThread) && i > 0 {
			recordings = recordings[:i]
			break
		}
		if err != nil {
			return 0, nil, fmt.Errorf("%s: %w", rec.Path, err)
		}
	}
	r.batches++
	name := filepath.Join(r.journal.Path(), "batch-"+strconv.Itoa(r.batches)+".scap")
	defer os.Remove(name)
	file, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, nil, err
	}
	_, err = merged.WriteTo(file)
	if err := errors.Join(err, file.Close()); err != nil {
		return 0, nil, err
	}
	alerts, err := r.replay(ctx, name)
	if err != nil {
		return 0, nil, err
	}
	all := make([][]*alert.Alert, len(recordings))
	for _, a := range alerts {
		i, err := recordingOf(a, recordings)
		if err != nil {
			return 0, nil, err
		}
		if i >= 0 {
			all[i] = append(all[i], a)
		}
	}
	return len(recordings), all, nil
}

func add(m *capture.Merger, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return m.Add(f)
}

// recordingOf tells whose an alert is: by the id in the environment of its process or
// of an ancestor, and where an action has cleared that, by the number of its event. The
// Falco counts through all recordings. Its own alerts have no number.
func recordingOf(a *alert.Alert, recordings []Recording) (int, error) {
	for _, field := range source.ByName(source.Default).ID {
		id, ok := a.Field(field)
		if i := slices.IndexFunc(recordings, func(r Recording) bool { return r.ID != "" && r.ID == id }); ok && i >= 0 {
			return i, nil
		}
	}
	text, ok := a.Field(NumberField)
	if !ok {
		return -1, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return -1, fmt.Errorf("an alert of %q has the event number %q", a.Rule, text)
	}
	for i, rec := range recordings {
		if n <= rec.Events {
			return i, nil
		}
		n -= rec.Events
	}
	return -1, fmt.Errorf("an alert of %q is for event %s, which no recording has", a.Rule, text)
}

func (r *Replayer) replay(ctx context.Context, file string) ([]*alert.Alert, error) {
	var log logTail
	log.logf = r.opts.Outputs.Logf
	cmd := r.command(ctx, "-o", captureFile+file)
	cmd.Stderr = &log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	alerts, readErr := readAlerts(stdout)
	err = cmd.Wait()
	log.flush()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		if reason := log.reason(); reason != nil {
			return nil, reason
		}
		return nil, fmt.Errorf("%w; its log ends:\n%s", err, log.tail(10))
	}
	return alerts, readErr
}

// readAlerts reads what a Falco prints: alerts, and its statistics at the end.
func readAlerts(r io.Reader) ([]*alert.Alert, error) {
	var alerts []*alert.Alert
	in := bufio.NewReaderSize(r, 1<<16)
	for {
		line, err := in.ReadBytes('\n')
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] == '{' && json.Valid(line) {
			a, parseErr := outputs.ParseJSON(line)
			if parseErr != nil {
				_, _ = io.Copy(io.Discard, r)
				return nil, parseErr
			}
			alerts = append(alerts, a)
		}
		if errors.Is(err, io.EOF) {
			return alerts, nil
		}
		if err != nil {
			return nil, err
		}
	}
}
