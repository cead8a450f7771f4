// SPDX-License-Identifier: Apache-2.0

package lines

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gotest.tools/v3/golden"

	"github.com/falcotest/go-falcotest/internal/report"
)

func messages() []*Message {
	return []*Message{
		{Hello: &Hello{Version: Version, Node: "worker-1", Binary: "e3b0c442", Kernel: "6.1.0", Arch: "amd64", Image: json.RawMessage(`{"files":[]}`)}},
		{Plan: &Plan{Judge: "Falco 0.43.1 at unix:///run/falco/falco.sock", Falco: "0.43.1", Rules: []string{"rules/a.yaml"},
			Tests: []Test{{Path: []string{"syscall.WriteBelowEtc"}, Rule: "Write below etc"}, {Path: []string{"A rule", "a test", "n=1"}, Rule: "A rule"}}}},
		{Result: &Result{Path: []string{"syscall.WriteBelowEtc"}, Row: report.Row{Rule: "Write below etc", Action: "syscall.WriteBelowEtc", Outcome: "detected"}, Text: "detected: \"Write below etc\"\nafter 3ms"}},
		{Result: &Result{Path: []string{"A rule", "a test", "n=1"}, Row: report.Row{Rule: "A rule", Outcome: "skipped"}, Text: strings.Repeat("ä€😀x", 2000), Here: true, Need: &Need{Name: "root", Hint: "be root"}}},
		{Problem: &Problem{Text: "the Falco does not answer", Deaf: true}},
		{End: &End{Results: 2, Warnings: []string{"w"}}},
	}
}

func written(t testing.TB) string {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b, "r1")
	for _, m := range messages() {
		if err := w.Write(m); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// read gives lines to a reader, and fails t for a gap.
func read(t testing.TB, r *Reader, lines []string) (list []*Message, output []string) {
	t.Helper()
	for _, line := range lines {
		m, out, err := r.Line([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		if m != nil {
			list = append(list, m)
		}
		if out != "" {
			output = append(output, out)
		}
	}
	return list, output
}

func split(text string) []string { return strings.Split(strings.TrimSuffix(text, "\n"), "\n") }

func TestLines(t *testing.T) {
	text := written(t)
	golden.Assert(t, strings.ReplaceAll(text, strings.Repeat("ä€😀x", 700), "…"), "lines.golden")
	lines := split(text)
	for _, line := range lines {
		if len(line) > 16<<10 {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
	r := NewReader("r1")
	got, _ := read(t, r, lines)
	if diff := cmp.Diff(messages(), got); diff != "" {
		t.Error(diff)
	}
	if !r.Ended() {
		t.Error("the last message came, and the reader has not ended")
	}
}

// A log that breaks anywhere and is read again from anywhere before gives each
// message once.
func TestResume(t *testing.T) {
	lines := split(written(t))
	for stop := range lines {
		for from := range stop + 1 {
			r := NewReader("r1")
			got, _ := read(t, r, lines[:stop])
			again, _ := read(t, r, lines[from:])
			if diff := cmp.Diff(messages(), append(got, again...)); diff != "" {
				t.Fatalf("broken before line %d and read again from %d: %s", stop, from, diff)
			}
		}
	}
}

func TestGap(t *testing.T) {
	lines := split(written(t))
	for missing := range lines[:len(lines)-1] {
		r := NewReader("r1")
		read(t, r, lines[:missing])
		if _, _, err := r.Line([]byte(lines[missing+1])); !errors.Is(err, ErrGap) {
			t.Errorf("without line %d: %v", missing, err)
		}
		read(t, r, lines) // the whole log, once more
		if !r.Ended() {
			t.Errorf("without line %d: the log was read again, and did not end", missing)
		}
	}
}

func TestDamage(t *testing.T) {
	lines := split(written(t))
	for name, line := range map[string]string{
		"another's output in its midst": lines[0][:60] + "hello" + lines[0][60:],
		"cut short":                     lines[0][:60],
		"only a mark":                   mark("r1"),
		"no number":                     mark("r1") + "x 0 . {}",
		"another number":                strings.Replace(lines[0], mark("r1")+"1 ", mark("r1")+"2 ", 1),
		"an unknown end":                strings.Replace(lines[0], " . ", " ! ", 1),
	} {
		r := NewReader("r1")
		if m, _, err := r.Line([]byte(line)); !errors.Is(err, ErrGap) || m != nil {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
}

// What others write is the pod's output, though it stand before a line of ours, and
// lines of another run are no lines.
func TestOutput(t *testing.T) {
	lines := split(written(t))
	other := strings.ReplaceAll(lines[0], "/r1 ", "/r2 ")
	given := append([]string{"=== RUN TestRules", "no newline" + lines[0] + "\r", other}, lines[1:]...)
	got, output := read(t, NewReader("r1"), given)
	if diff := cmp.Diff(messages(), got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"=== RUN TestRules", "no newline", other}, output); diff != "" {
		t.Error(diff)
	}
}

type lineWriter func([]byte)

func (w lineWriter) Write(p []byte) (int, error) { w(p); return len(p), nil }

func TestConcurrent(t *testing.T) {
	r := NewReader("r")
	n := 0
	w := NewWriter(lineWriter(func(p []byte) {
		m, _, err := r.Line(bytes.TrimSuffix(p, []byte("\n")))
		if err != nil {
			t.Error(err)
		}
		if m != nil {
			n++
		}
	}), "r")
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 50 {
				if err := w.Write(&Message{Problem: &Problem{Text: strings.Repeat("x", 3*longest)}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	if n != 400 {
		t.Errorf("%d messages of 400", n)
	}
}

// Whatever stands in a log, the reader neither panics nor tells what was not written.
func FuzzReader(f *testing.F) {
	text := written(f)
	f.Add(text)
	f.Add("x\n" + text + text)
	f.Add(mark("r1") + "1 00000000 . {}\n")
	f.Fuzz(func(t *testing.T, log string) {
		r := NewReader("r1")
		seq := 0
		for line := range strings.SplitSeq(log, "\n") {
			m, _, err := r.Line([]byte(line))
			if m != nil && err != nil {
				t.Fatal("both a message and an error")
			}
			if r.seq < seq || r.seq > seq+1 {
				t.Fatalf("from line %d to line %d", seq, r.seq)
			}
			seq = r.seq
		}
	})
}

// Whatever is written is read.
func FuzzWriter(f *testing.F) {
	f.Add("text", "\xff\x00\u2028", 3)
	f.Fuzz(func(t *testing.T, text, more string, times int) {
		want := &Message{Problem: &Problem{Text: strings.ToValidUTF8(text+strings.Repeat(more, max(0, min(times, 100000/(len(more)+1)))), "")}}
		var b bytes.Buffer
		if err := NewWriter(&b, "r").Write(want); err != nil {
			t.Fatal(err)
		}
		got, output := read(t, NewReader("r"), split(b.String()))
		if diff := cmp.Diff([]*Message{want}, got); diff != "" || len(output) > 0 {
			t.Error(diff, output)
		}
	})
}
