// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package builtin

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"github.com/falcotest/go-falcotest/internal/capture"
	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/falco"
	"github.com/falcotest/go-falcotest/internal/machine"
)

// recording is what the tracer saw of one run of an action, as it is written to a
// file.
type recording struct {
	path string
	w    *capture.Writer
	buf  bytes.Buffer
	err  error
	once sync.Once

	inContainer bool // a process of it is

	replay *Replay // nil where nobody judges it
}

// newRecording begins the recording of an action; that of an earlier attempt is
// replaced.
func newRecording(folder, action string, replay *Replay) *recording {
	r := &recording{path: filepath.Join(folder, action+".scap"), replay: replay}
	r.w = capture.NewWriter(&r.buf, capture.WriterOptions{
		Hostname: machine.Hostname(), CPUs: runtime.NumCPU(), Interfaces: machine.Interfaces(), Late: true,
	})
	return r
}

// add is called on the tracer's thread, while the action stands still.
func (r *recording) add(e *event.Event) {
	r.inContainer = r.inContainer || e.Thread != nil && e.Thread.Process.Container != nil
	if r.err == nil {
		r.err = r.w.Event(e)
	}
}

// close ends the recording, once.
func (r *recording) close() error {
	r.once.Do(func() {
		if r.replay != nil {
			defer r.replay.Ended()
		}
		if err := r.w.Close(); r.err == nil {
			r.err = err
		}
		if r.err == nil {
			r.err = os.WriteFile(r.path, r.buf.Bytes(), 0o666)
		}
		if r.err != nil {
			r.err = fmt.Errorf("recording the action: %w", r.err)
			return
		}
		if r.replay != nil {
			r.replay.Done(falco.Recording{Path: r.path, Events: r.w.Total(), InContainer: r.inContainer})
		}
	})
	return r.err
}

// recordedTypes are the types that rules ask for, and those without which the
// state of processes in a recording would be wrong.
func (t *Tracing) recordedTypes() []event.Type {
	types := append(slices.Clone(t.types), capture.StateTypes()...)
	slices.Sort(types)
	return slices.Compact(types)
}
