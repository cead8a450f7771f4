// SPDX-License-Identifier: Apache-2.0

package capture_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/source/syscall/fields"
)

// FALCOTEST_REAL_FALCO is a Falco 0.43, FALCO_PLUGINS the folder of its plugins, and
// FALCO_RECORDINGS a pattern of more recordings to compare it on.
const (
	falcoExecutable = "FALCOTEST_REAL_FALCO"
	falcoPlugins    = "FALCO_PLUGINS"
	moreRecordings  = "FALCO_RECORDINGS"
)

// knownDifferences are the values that are not the same for a real Falco, by field and
// kind; CAPTURES.md gives the reasons.
var knownDifferences = map[string]bool{
	"evt.buffer other": true,
	"proc.exe_ino.ctime_duration_proc_start missing": true,
	"proc.exe_ino.ctime_duration_proc_start other":   true,
}

// TestRealFalco replays every recording that there is, and those of all actions, with a
// Falco, and compares all that it says of each event, and the alerts of the rules, with this project's engine.
func TestRealFalco(t *testing.T) {
	falco := os.Getenv(falcoExecutable)
	if falco == "" {
		t.Skip(falcoExecutable + " names no Falco to compare with")
	}
	var names []string
	for _, glob := range []string{
		filepath.Join(recordedActions(t), "*.scap"),
		"../../examples/captures/testdata/*.scap", filepath.Join(testdataFolder(), "captures", "*.scap"), os.Getenv(moreRecordings),
		filepath.Join(os.Getenv("FALCO_LIBS"), "test/libsinsp_e2e/resources/captures/*.scap"),
	} {
		found, err := filepath.Glob(glob)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, found...)
	}
	dir := t.TempDir()
	every := filepath.Join(dir, "every.yaml")
	if err := os.WriteFile(every, everyField(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			recording, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			t.Run("fields", func(t *testing.T) { compareFields(t, falco, every, name, recording) })
			t.Run("alerts", func(t *testing.T) { compareAlerts(t, falco, name, recording) })
		})
	}
}

// recordedActions is a folder with a recording of each action that runs here.
func recordedActions(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-run", "^TestRules$", "../../events/syscall")
	cmd.Env = append(os.Environ(), "FALCOTEST_RECORD="+dir)
	if out, err := cmd.CombinedOutput(); err != nil { // those that were recorded are compared
		t.Logf("running the actions: %v\n%s", err, out)
	}
	return dir
}

// everyField is a rule that prints all fields that need no argument, for each event.
func everyField() []byte {
	text := "- rule: every\n  desc: x\n  condition: evt.num > 0\n  priority: INFO\n  output: \"%evt.num %evt.time.iso8601"
	src := fields.New()
	for _, f := range fields.Fields() {
		switch {
		case f.Unsupported != "", f.Argument != "" && !strings.Contains(f.Argument, "optional"), strings.HasPrefix(f.Name, "evt.time"),
			strings.HasPrefix(f.Name, "evt.datetime"), strings.HasPrefix(f.Name, "evt.deltatime"), f.Name == "evt.num",
			os.Getenv(falcoPlugins) == "" && (strings.Contains(f.Name, "container") || strings.HasPrefix(f.Name, "k8s.")):
			continue
		}
		if _, err := filter.ParseFormat(src, "%"+f.Name); err != nil {
			continue // for conditions only
		}
		text += " %" + f.Name
	}
	return []byte(text + "\"\n")
}

// replayed are the lines that a Falco prints on replaying a recording.
func replayed(t *testing.T, falco, recording string, files ...string) func() map[string]any {
	t.Helper()
	conf := map[string]any{
		"engine": map[string]any{"kind": "replay", "replay": map[string]any{"capture_file": recording}}, "json_output": true,
		"json_include_output_fields_property": true, "json_include_tags_property": true, "time_format_iso_8601": true,
		"stdout_output": map[string]any{"enabled": true}, "priority": "debug", "rule_matching": "all", "webserver": map[string]any{"enabled": false},
		"rules": []any{map[string]any{"enable": map[string]any{"rule": "*"}}}, "rules_files": []string{}, "config_files": []string{},
	}
	if dir := os.Getenv(falcoPlugins); dir != "" {
		conf["load_plugins"] = []string{"container"}
		conf["plugins"] = []any{map[string]any{"name": "container", "library_path": filepath.Join(dir, "libcontainer.so")}}
	}
	b, err := json.Marshal(conf)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "falco.yaml")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-U", "-c", name}
	for _, f := range files {
		args = append(args, "-r", f)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), falco, args...)
	cmd.Env = append(os.Environ(), "RES_OPTIONS=attempts:1 timeout:1")
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Wait(); err != nil && !t.Failed() {
			t.Errorf("%v:\n%s", err, problems.String())
		}
	})
	r := bufio.NewReaderSize(out, 1<<20)
	return func() map[string]any {
		for {
			line, err := r.ReadBytes('\n')
			if len(line) > 0 && line[0] == '{' {
				return plain(t, line)
			}
			if err != nil {
				return nil
			}
		}
	}
}

func compareFields(t *testing.T, falco, rule, name string, recording []byte) {
	e, err := engine.New(load(t, rules.File{Name: rule, Data: everyField()}), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	next := replayed(t, falco, name, rule)
	c := &comparison{kinds: map[string]int{}, example: map[string]string{}}
	play(t, recording, e, func(a *alert.Alert) {
		line := next()
		if line == nil {
			t.Fatalf("event %v: Falco has no more", a.Fields["evt.num"])
		}
		want := line["output_fields"].(map[string]any)
		maps.DeleteFunc(want, func(_ string, v any) bool { return v == nil })
		c.compare(want, a.Fields)
	})
	if more := next(); more != nil {
		t.Errorf("Falco has more events: %v", more)
	}
	t.Logf("%d of %d values are equal (%.4f %%)", c.equal, c.total, 100*float64(c.equal)/float64(c.total))
	keys := slices.Collect(maps.Keys(c.kinds))
	sort.Slice(keys, func(i, j int) bool { return c.kinds[keys[i]] > c.kinds[keys[j]] })
	for _, k := range keys {
		report := t.Errorf
		if knownDifferences[k] {
			report = t.Logf
		}
		report("%6d %s: %s", c.kinds[k], k, c.example[k])
	}
}

func compareAlerts(t *testing.T, falco, name string, recording []byte) {
	var files []rules.File
	var names []string
	for _, f := range []string{"falco_rules.yaml", "falco-incubating_rules.yaml", "falco-sandbox_rules.yaml"} {
		names = append(names, filepath.Join(testdataFolder(), "rules", f))
		files = append(files, rules.File{Name: f, Data: testdata(t, "rules/"+f)})
	}
	e, err := engine.New(load(t, files...), engine.Options{Enable: func(*rules.Rule) bool { return true }, Matching: engine.All, TimeISO8601: true})
	if err != nil {
		t.Fatal(err)
	}
	sign := func(rule, at string, fields map[string]any) string {
		var b strings.Builder
		fmt.Fprintf(&b, "%s %s", at, rule)
		for _, k := range slices.Sorted(maps.Keys(fields)) {
			if v := fields[k]; v != nil && !strings.HasPrefix(k, "container.") && !strings.HasPrefix(k, "k8s.") && !strings.HasPrefix(k, "evt.time") {
				fmt.Fprintf(&b, " %s=%v", k, v)
			}
		}
		return b.String()
	}
	var want, got []string
	next := replayed(t, falco, name, names...)
	for a := next(); a != nil; a = next() {
		want = append(want, sign(a["rule"].(string), a["time"].(string), a["output_fields"].(map[string]any)))
	}
	play(t, recording, e, func(a *alert.Alert) {
		line, err := json.Marshal(map[string]any{"output_fields": a.Fields})
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, sign(a.Rule, a.Time.UTC().Format("2006-01-02T15:04:05.000000000Z"), plain(t, line)["output_fields"].(map[string]any)))
	})
	slices.Sort(want) // of one event, in the order of the files, which is not known
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("alerts differ (-Falco's +ours):\n%s", diff)
	}
	t.Logf("%d alerts", len(want))
}
