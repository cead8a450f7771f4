// SPDX-License-Identifier: Apache-2.0

package capture_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/capture"
	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/source/syscall/fields"
)

// testdata reads a file of Falco's own data, or skips.
func testdata(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(testdataFolder(), name))
	if err != nil {
		t.Skipf("no data of Falco (FALCO_TESTDATA says where it is): %v", err)
	}
	return data
}

func testdataFolder() string {
	if dir := os.Getenv("FALCO_TESTDATA"); dir != "" {
		return dir
	}
	return "../../../shared/falco"
}

func load(t testing.TB, files ...rules.File) *rules.Set {
	t.Helper()
	set, err := rules.LoadFiles(context.Background(), files, rules.Options{Sources: []filter.Source{fields.New()}})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	return set
}

// play evaluates rules for a recording.
func play(t testing.TB, recording []byte, e *engine.Engine, emit func(*alert.Alert)) {
	t.Helper()
	p, err := capture.NewPlayer(bytes.NewReader(recording))
	if err != nil {
		t.Fatal(err)
	}
	ev := e.NewEvaluator()
	for {
		e, err := p.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		ev.Evaluate(fields.SourceName, e, emit)
	}
}

// TestFields compares every displayable field of every event of a recording with
// what Falco 0.43.1 gave for it. What differs is listed by kind; these are known:
//
//   - evt.buffer: Falco prints what was left in its buffer where there are no data,
//     and where the parameter of that name is no buffer (ptrace).
//   - proc.exe_ino.ctime_duration_proc_start of processes that are in the tables:
//     memory that Falco does not set.
//   - evt.info was left out; it is evt.args.
//   - fd.containername, fd.containerdirectory, container.*: the recorded Falco had
//     no container plugin.
func TestFields(t *testing.T) {
	set := load(t, rules.File{Name: "fields.yaml", Data: testdata(t, "captures/fields.yaml")})
	for _, name := range []string{"files", "process", "network", "curl_google"} {
		t.Run(name, func(t *testing.T) {
			e, err := engine.New(set, engine.Options{})
			if err != nil {
				t.Fatal(err)
			}
			recording := recordingOf(t, name)
			next := oracleLines(t, testdata(t, "captures/"+name+".fields.jsonl.gz"))
			c := &comparison{noInfo: true, noEnv: name == "curl_google", kinds: map[string]int{}, example: map[string]string{}}
			play(t, recording, e, func(a *alert.Alert) {
				want := next()
				if want == nil {
					t.Fatalf("event %v: Falco has no more", a.Fields["evt.num"])
				}
				c.compare(want, a.Fields)
			})
			if want := next(); want != nil {
				t.Errorf("Falco has more events, from %v", want["evt.num"])
			}
			t.Logf("%d of %d values are equal (%.4f %%)", c.equal, c.total, 100*float64(c.equal)/float64(c.total))
			keys := slices.Collect(maps.Keys(c.kinds))
			sort.Slice(keys, func(i, j int) bool { return c.kinds[keys[i]] > c.kinds[keys[j]] })
			for _, k := range keys {
				t.Logf("%6d %s: %s", c.kinds[k], k, c.example[k])
			}
			if float64(c.equal) < 0.995*float64(c.total) {
				t.Error("fewer than 99.5 % of the values are equal")
			}
		})
	}
}

// recordingOf is a recording of Falco's data. That of curl is in the libs' own
// repository (test/libsinsp_e2e/resources/captures): FALCO_LIBS is a checkout.
func recordingOf(t testing.TB, name string) []byte {
	if name != "curl_google" {
		return testdata(t, "captures/"+name+".scap")
	}
	data, err := os.ReadFile(filepath.Join(os.Getenv("FALCO_LIBS"), "test/libsinsp_e2e/resources/captures", name+".scap"))
	if err != nil {
		t.Skipf("no checkout of falcosecurity/libs (FALCO_LIBS says where it is): %v", err)
	}
	return data
}

func oracleLines(t testing.TB, zipped []byte) func() map[string]any {
	z, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReaderSize(z, 1<<20)
	return func() map[string]any {
		line, err := r.ReadBytes('\n')
		if len(line) == 0 || err != nil && !errors.Is(err, io.EOF) {
			return nil
		}
		var m map[string]any
		d := json.NewDecoder(bytes.NewReader(line))
		d.UseNumber()
		if err := d.Decode(&m); err != nil {
			t.Fatal(err)
		}
		return m
	}
}

type comparison struct {
	noEnv        bool // the environment is left out of what Falco gave
	noInfo       bool // evt.info is
	equal, total int
	kinds        map[string]int
	example      map[string]string
}

func (c *comparison) compare(want map[string]any, got map[string]any) {
	for name, w := range want {
		c.total++
		g, ok := got[name]
		if !ok || g == nil {
			c.differs(name, "missing", fmt.Sprintf("event %v %v: want %v", want["evt.num"], want["evt.type"], w))
			continue
		}
		if s, ok := g.(string); ok && strings.HasPrefix(name, "fd.container") {
			g = strings.TrimPrefix(s, "host") // that Falco had no container plugin
		}
		if !same(w, g) {
			c.differs(name, "other", fmt.Sprintf("event %v %v: %s", want["evt.num"], want["evt.type"], differing(w, g)))
			continue
		}
		c.equal++
	}
	for name, g := range got {
		if c.noEnv && (strings.Contains(name, "env[") || name == "evt.args" && want["evt.type"] == "execve") {
			continue
		}
		if _, ok := want[name]; ok || g == nil || strings.HasPrefix(name, "evt.time") ||
			strings.HasPrefix(name, "container.") || c.noInfo && name == "evt.info" {
			continue
		}
		c.total++
		c.differs(name, "invented", fmt.Sprintf("event %v %v: %v", want["evt.num"], want["evt.type"], short(g)))
	}
}

func short(v any) string {
	s := fmt.Sprintf("%v", v)
	return s[:min(len(s), 120)]
}

// differing shows two values from a little before they differ.
func differing(w, g any) string {
	a, b := fmt.Sprint(w), fmt.Sprint(g)
	at := 0
	for at < len(a) && at < len(b) && a[at] == b[at] {
		at++
	}
	at = max(0, at-40)
	return fmt.Sprintf("want %s, got %s", short(a[at:]), short(b[at:]))
}

func (c *comparison) differs(name, kind, example string) {
	k := name + " " + kind
	if c.kinds[k]++; c.kinds[k] == 1 {
		c.example[k] = example
	}
}

func same(w, g any) bool {
	switch g := g.(type) {
	case string:
		return w == g
	case bool:
		return w == g
	case json.Number:
		if w == g {
			return true
		}
	}
	a, err := json.Marshal(g)
	if err != nil {
		return false
	}
	var v any
	d := json.NewDecoder(bytes.NewReader(a))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return false
	}
	if x, ok := w.(json.Number); ok {
		y, ok := v.(json.Number)
		if !ok {
			return false
		}
		if x == y {
			return true
		}
		p, _ := x.Float64()
		q, _ := y.Float64()
		return p == q && (strings.Contains(string(x), ".") || strings.Contains(string(y), "."))
	}
	return cmp.Equal(w, v)
}

// TestAlerts compares the alerts of the 93 rules that Falco ships, all enabled,
// with Falco's for the same recordings.
func TestAlerts(t *testing.T) {
	var files []rules.File
	for _, name := range []string{"falco_rules.yaml", "falco-incubating_rules.yaml", "falco-sandbox_rules.yaml"} {
		files = append(files, rules.File{Name: name, Data: testdata(t, "rules/"+name)})
	}
	set := load(t, files...)
	for _, name := range []string{"files", "process", "network"} {
		t.Run(name, func(t *testing.T) {
			e, err := engine.New(set, engine.Options{Enable: func(*rules.Rule) bool { return true }, Matching: engine.All, Hostname: "vm"})
			if err != nil {
				t.Fatal(err)
			}
			var got, want []map[string]any
			play(t, testdata(t, "captures/"+name+".scap"), e, func(a *alert.Alert) { got = append(got, asJSON(t, a)) })
			for _, line := range bytes.Split(bytes.TrimSpace(testdata(t, "captures/"+name+".alerts.jsonl")), []byte("\n")) {
				want = append(want, plain(t, line))
			}
			byTime(want) // of one event, in the order of the files, which is not known
			byTime(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("alerts differ (-Falco's +ours):\n%s", diff)
			}
			t.Logf("%d alerts are equal", len(want))
		})
	}
}

func byTime(alerts []map[string]any) {
	slices.SortStableFunc(alerts, func(a, b map[string]any) int {
		return strings.Compare(a["time"].(string)+a["rule"].(string), b["time"].(string)+b["rule"].(string))
	})
}

// asJSON is an alert as Falco's JSON has it, with the time printed as in the
// configuration that made the recorded ones.
func asJSON(t testing.TB, a *alert.Alert) map[string]any {
	fields := map[string]any{}
	for k, v := range a.Fields {
		if k == "evt.time.iso8601" {
			k = "evt.time"
		}
		fields[k] = v
	}
	_, text, _ := strings.Cut(a.Output, ": ")
	b, err := json.Marshal(map[string]any{
		"hostname": a.Hostname, "output": a.Time.Format("15:04:05.000000000") + ": " + text, "output_fields": fields,
		"priority": a.Priority.String(), "rule": a.Rule, "source": a.Source, "tags": a.Tags,
		"time": a.Time.Format("2006-01-02T15:04:05.000000000Z"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return plain(t, b)
}

func plain(t testing.TB, data []byte) map[string]any {
	var m map[string]any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}
