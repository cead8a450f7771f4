// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package engine

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/marks"
	"github.com/falcotest/go-falcotest/internal/source/syscall/fields"
	"github.com/falcotest/go-falcotest/internal/trace"
)

const traceeEnv = "FALCOTEST_ENGINE_TRACEE"

func TestMain(m *testing.M) {
	if os.Getenv(traceeEnv) != "" {
		beTraced()
	}
	os.Exit(m.Run())
}

// beTraced waits at the gate for the filter, installs it and becomes the
// program that the arguments name.
func beTraced() {
	gate := os.NewFile(3, "gate")
	prog, err := io.ReadAll(gate)
	if err == nil {
		err = marks.InstallFilter(prog)
	}
	gate.Close()
	if err == nil {
		os.Unsetenv(traceeEnv)
		err = syscall.Exec(os.Args[1], os.Args[1:], os.Environ())
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(111)
}

// runTraced runs a shell script, with arguments, in an empty directory and gives
// its events to handle.
func runTraced(t testing.TB, script []string, env []string, types []event.Type, handle func(*event.Event)) {
	t.Helper()
	if err := trace.Supported(); err != nil {
		t.Skip(err)
	}
	shell, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("needs bash")
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	cmd := exec.Command(os.Args[0], append([]string{shell}, script...)...)
	cmd.Env = append(append(os.Environ(), traceeEnv+"=1"), env...)
	cmd.ExtraFiles = []*os.File{r}
	cmd.Dir = t.TempDir()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.Close()
	prog, err := trace.Program(types)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	tr, err := trace.Attach(ctx, cmd.Process.Pid, trace.Options{Types: types, Handler: handle})
	if err != nil {
		cmd.Process.Kill()
		cmd.Wait()
		t.Fatal(err)
	}
	if _, err := w.Write(prog); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if _, err := tr.Wait(); err != nil {
		t.Fatal(err)
	}
	cmd.Process.Release()
}

// conformanceTypes are the types that the script is compared in: all system
// calls with parameters of their own, and some that have none.
func conformanceTypes() (types []event.Type) {
	for t := event.None + 1; t < event.NumTypes; t++ {
		d := t.Def()
		generic := t == event.SysGetpid || t == event.SysUtimensat || t == event.SysFtruncate || t == event.SysFaccessat
		if d.IsSyscall() && (d.Attrs&event.Generic == 0 || generic) {
			types = append(types, t)
		}
	}
	return types
}

// differing are fields whose values depend on when they are read, or on what
// Falco knows of processes and files that are older than itself, which this
// test cannot control; and those where Falco is plainly wrong, with the reason.
var differing = []string{
	"evt.num", "evt.time", "evt.datetime", "evt.rawtime", "evt.reltime", "evt.deltatime", "evt.cpu", "proc.vm", "thread.vm",
	"thread.pf", "proc.duration", "proc.ppid.duration", "proc.pid.ts", "proc.ppid.ts", "container.start_ts", "container.duration",
	"proc.sid", "proc.sname", "proc.pgid.", "proc.vpgid.", "proc.loginshellid", "proc.std", "proc.fdopencount", "proc.fdusage", "fd.types",
	"evt.plugin",
	"evt.info",         // equals evt.args
	"evt.args",         // holds the memory and the parents of processes; its parts are compared
	"proc.exe_ino.",    // Falco 0.43 misreads the times of files on newer kernels
	"proc.pidns",       // Falco rounds the time of boot to seconds
	"proc.fdlimit",     // Falco forgets it when a program is executed
	"evt.buffer",       // Falco prints what was left in its memory after the text of an empty one
	"fd.dev", "fd.ino", // of sockets and pipes Falco does not know them
}

// realFalcoOrSkip returns the Falco 0.43 and its container plugin to compare
// with, which FALCO_BINARY and FALCO_PLUGIN name. This
// process must be allowed to run it.
func realFalcoOrSkip(t *testing.T) (binary, config string) {
	t.Helper()
	binary, plugin := os.Getenv("FALCO_BINARY"), os.Getenv("FALCO_PLUGIN")
	if binary == "" || plugin == "" {
		t.Skip("FALCO_BINARY and FALCO_PLUGIN name no Falco and container plugin to compare with")
	}
	return binary, "load_plugins: [container]\nplugins:\n  - name: container\n    library_path: " + plugin + "\n"
}

// TestConformance compares the values of all fields, for the calls of a script,
// with those of a real Falco that watches the same run.
func TestConformance(t *testing.T) {
	falco, config := realFalcoOrSkip(t)
	id := fmt.Sprintf("conformance%d", os.Getpid())
	var printed []string
	for _, d := range fields.Fields() {
		skip := slices.ContainsFunc(differing, func(p string) bool { return strings.HasPrefix(d.Name, p) })
		if d.Unsupported != "" || skip || strings.HasPrefix(d.Argument, "[") && !strings.HasSuffix(d.Argument, "optional") || strings.HasPrefix(d.Argument, ".") {
			continue
		}
		f, err := fields.New().Field(d.Name, "", false)
		if err != nil || f.FilterOnly {
			continue
		}
		printed = append(printed, d.Name)
	}
	printed = append(printed, "proc.aname[1]", "proc.acmdline[1]", "proc.env[HOME]", "proc.aenv[FALCOTEST_ID]", "evt.arg[1]", "evt.arg.flags", "evt.arg.path",
		"evt.arg.name", "evt.rawarg.flags", "evt.type.is.openat", "thread.cgroup.cpu", "proc.args[0]")
	var names []string
	types := conformanceTypes()
	for _, typ := range types {
		names = append(names, typ.String())
	}
	rule := fmt.Sprintf("- rule: all\n  desc: d\n  condition: evt.type in (%s) and proc.env[FALCOTEST_ID] startswith %s\n  output: \"%%%s\"\n  priority: NOTICE\n",
		strings.Join(names, ", "), id, strings.Join(printed, " %"))

	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte(rule), 0o600); err != nil {
		t.Fatal(err)
	}
	real := startFalco(t, falco, config+"base_syscalls: {all: true}\n", []string{file}, id)
	e := newEngine(t, load(t, rule), Options{})
	ev := e.NewEvaluator()
	var ours []map[string]any
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	script := []string{filepath.Join(wd, "testdata", "conformance.sh"), filepath.Join(wd, "testdata", "conformance.py")}
	runTraced(t, script, []string{"FALCOTEST_ID=" + id}, types, func(call *event.Event) {
		ev.Evaluate(fields.SourceName, call, func(a *alert.Alert) {
			b, err := json.Marshal(a.Fields)
			if err != nil {
				t.Error(err)
			}
			ours = append(ours, decode(t, b))
		})
	})
	compareFields(t, afterExec(real.until(t, id)), afterExec(ours), printed)
}

func decode(t testing.TB, b []byte) map[string]any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}

// afterExec drops what came before the script's shell.
func afterExec(events []map[string]any) []map[string]any {
	for i, e := range events {
		if e["evt.type"] == "execve" && e["proc.name"] == "bash" {
			return events[i:]
		}
	}
	return nil
}

// pointers are in the names of unix sockets; only the kernel can tell them.
var pointers = regexp.MustCompile(`\b[0-9a-f]+->[0-9a-f]+ `)

// compareFields compares the calls of each thread in their order, and tells for
// each field how often it differed, with the first example.
func compareFields(t *testing.T, want, got []map[string]any, fields []string) {
	t.Helper()
	group := func(events []map[string]any) (map[string][]map[string]any, []string) {
		m, order := map[string][]map[string]any{}, []string{}
		for _, e := range events {
			k := fmt.Sprint(e["thread.tid"], " ", e["evt.type"])
			if m[k] == nil {
				order = append(order, k)
			}
			m[k] = append(m[k], e)
		}
		return m, order
	}
	w, order := group(want)
	g, extra := group(got)
	total, equal := 0, 0
	counts, examples := map[string]int{}, map[string]string{}
	for _, k := range order {
		if len(w[k]) != len(g[k]) {
			t.Errorf("%s: Falco saw %d calls, we %d", k, len(w[k]), len(g[k]))
			continue
		}
		for i := range w[k] {
			// The shell's parent is older than Falco, and so are the files
			// that were open when it began.
			older := w[k][i]["proc.pname"] == nil || w[k][i]["proc.pname"] == "<NA>" || w[k][i]["fd.typechar"] == "o" && g[k][i]["fd.typechar"] != "o"
			for _, f := range fields {
				if older && w[k][i][f] != g[k][i][f] {
					continue
				}
				total++
				a := pointers.ReplaceAllString(fmt.Sprintf("%T %q", w[k][i][f], w[k][i][f]), "0->0 ")
				b := pointers.ReplaceAllString(fmt.Sprintf("%T %q", g[k][i][f], g[k][i][f]), "0->0 ")
				if a == b {
					equal++
					continue
				}
				if counts[f]++; counts[f] <= 4 {
					n := 0
					for n < len(a) && n < len(b) && a[n] == b[n] {
						n++
					}
					n = max(0, n-20)
					examples[f] += fmt.Sprintf("\n    %s of %v: Falco %.60s, we %.60s", w[k][i]["evt.type"], w[k][i]["proc.cmdline"], a[n:], b[n:])
				}
			}
		}
	}
	for _, k := range extra {
		if w[k] == nil {
			t.Errorf("%s: Falco saw no call, we %d", k, len(g[k]))
		}
	}
	for _, f := range fields {
		if counts[f] > 0 {
			t.Errorf("%s differs %d times:%s", f, counts[f], examples[f])
		}
	}
	t.Logf("%d calls of Falco's, %d of ours; %d of %d values are equal", len(want), len(got), equal, total)
}

// realFalco is a running Falco whose alerts come as lines of JSON.
type realFalco struct{ lines chan map[string]any }

const sentinel = "-sentinel"

// startFalco starts a Falco with more configuration and rules files, and
// returns when it sees calls. A rule must be true for the openat of touch.
func startFalco(t *testing.T, binary, config string, files []string, id string) *realFalco {
	t.Helper()
	conf := filepath.Join(t.TempDir(), "falco.yaml")
	text := "engine: {kind: modern_ebpf}\njson_output: true\nstdout_output: {enabled: true}\ntime_format_iso_8601: true\n" +
		"syscall_event_drops: {threshold: 0, actions: [alert], rate: 100, max_burst: 100}\n" + config
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-U", "-c", conf}
	for _, name := range files {
		args = append(args, "-r", name)
	}
	cmd := exec.Command(binary, args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Skipf("Falco does not start: %v", err)
	}
	f := &realFalco{make(chan map[string]any, 1<<16)}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		for range f.lines {
		}
		if err := cmd.Wait(); err != nil && t.Failed() {
			t.Logf("Falco: %v\n%s", err, stderr.String())
		}
	})
	go func() {
		defer close(f.lines)
		s := bufio.NewScanner(out)
		s.Buffer(nil, 16<<20)
		for s.Scan() {
			var a struct {
				Rule, Output, Priority string
				Tags                   []string
				Fields                 json.RawMessage `json:"output_fields"`
			}
			if json.Unmarshal(s.Bytes(), &a) == nil && len(a.Fields) > 0 {
				d := json.NewDecoder(bytes.NewReader(a.Fields))
				d.UseNumber()
				var m map[string]any
				if d.Decode(&m) == nil {
					m["rule"], m["output"], m["priority"], m["tags"] = a.Rule, a.Output, a.Priority, strings.Join(a.Tags, " ")
					f.lines <- m
				}
			}
		}
	}()
	tick := time.NewTicker(200 * time.Millisecond) // a call that Falco would see, until it does
	defer tick.Stop()
	limit := time.After(30 * time.Second)
	for {
		select {
		case _, ok := <-f.lines:
			if !ok {
				t.Fatalf("Falco ended: %s", stderr.String())
			}
			f.until(t, id)
			return f
		case <-tick.C:
			touch(t, id)
		case <-limit:
			t.Fatalf("Falco did not begin: %s", stderr.String())
		}
	}
}

// touch makes calls that the rule is true for.
func touch(t testing.TB, id string) {
	cmd := exec.Command("/bin/cat", "/etc/hostname")
	cmd.Env = []string{"FALCOTEST_ID=" + id + sentinel}
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
}

// until returns what Falco said up to now: a call made now ends it.
func (f *realFalco) until(t testing.TB, id string) (events []map[string]any) {
	t.Helper()
	touch(t, id)
	limit := time.After(30 * time.Second)
	last, seen := time.NewTimer(time.Hour), false
	for {
		select {
		case e, ok := <-f.lines:
			if !ok {
				t.Fatal("Falco ended")
			}
			if strings.HasPrefix(fmt.Sprint(e["rule"]), "Falco internal") {
				t.Skipf("Falco lost events on this busy machine, so there is nothing to compare with: %v", e["output"])
			}
			if env := fmt.Sprint(e["proc.env"], e["proc.env[FALCOTEST_ID]"]); strings.Contains(env, sentinel) {
				if name, _ := e["fd.name"].(string); name == "/etc/hostname" && e["evt.type"] == "openat" {
					seen = true
				}
			} else {
				events = append(events, e)
			}
			if seen { // what other processors have may come a little later
				last.Reset(2 * time.Second)
			}
		case <-last.C:
			return events
		case <-limit:
			t.Fatal("Falco did not see the sentinel")
		}
	}
}

// TestVerdicts runs what the upstream rules are about under a real Falco and the
// built-in engine, with all 93 rules enabled, and compares the alerts: rules,
// priorities, tags, texts and fields.
func TestVerdicts(t *testing.T) {
	falco, config := realFalcoOrSkip(t)
	id := fmt.Sprintf("verdicts%d", os.Getpid())
	// Every 93 rules, and one that shows when Falco sees calls.
	extra := filepath.Join(t.TempDir(), "sentinel.yaml")
	rule := "- rule: sentinel\n  desc: d\n  condition: evt.type = openat and fd.name = /etc/hostname and proc.env[FALCOTEST_ID] contains " + sentinel +
		"\n  output: \"%evt.type %fd.name\"\n  priority: NOTICE\n"
	if err := os.WriteFile(extra, []byte(rule), 0o600); err != nil {
		t.Fatal(err)
	}
	testdata(t, "rules/"+upstreamFiles[0]) // or skip
	var files []string
	for _, name := range upstreamFiles {
		files = append(files, testdataPath("rules/"+name))
	}
	config += "rule_matching: all\nrules:\n  - enable: {rule: \"*\"}\n" +
		"append_output:\n  - suggested_output: true\n  - match: {source: syscall}\n    extra_fields: [\"proc.env[FALCOTEST_ID]\", proc.pid]\n"
	real := startFalco(t, falco, config, append(files, extra), id)
	set := upstream(t)
	e := newEngine(t, set, Options{Enable: enableAll, Matching: All, ExtraFields: map[string][]string{fields.SourceName: []string{"proc.env[FALCOTEST_ID]", "proc.pid"}}})
	ev := e.NewEvaluator()
	var ours []map[string]any
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	script := []string{filepath.Join(wd, "testdata", "verdicts.sh"), filepath.Join(wd, "testdata", "verdicts.py")}
	runTraced(t, script, []string{"FALCOTEST_ID=" + id}, fields.Types(e.EventTypes(fields.SourceName)), func(call *event.Event) {
		ev.Evaluate(fields.SourceName, call, func(a *alert.Alert) {
			b, err := json.Marshal(a.Fields)
			if err != nil {
				t.Error(err)
			}
			m := decode(t, b)
			m["rule"], m["output"], m["priority"], m["tags"] = a.Rule, a.Output, a.Priority.String(), strings.Join(a.Tags, " ")
			ours = append(ours, m)
		})
	})
	// The session's leader and the shell's ancestors are older than Falco, which
	// also rounds the time of boot.
	older := regexp.MustCompile(`(container_start_ts=|proc_sname=|\bg+parent=|"container.start_ts":|"proc.sname":|"proc.aname\[\d\]":)[^ ,}]*`)
	key := func(m map[string]any) string {
		// The text begins with the time, which is that of either clock.
		_, text, _ := strings.Cut(fmt.Sprint(m["output"]), ": ")
		fields := map[string]any{}
		for k, v := range m {
			if k != timeOfDay.field && k != "output" {
				fields[k] = v
			}
		}
		b, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		text = pointers.ReplaceAllString(text+"\n      "+string(b), "0->0 ")
		return older.ReplaceAllString(text, "$1?")
	}
	count := map[string]int{}
	rulesSeen := map[string]bool{}
	theirs := 0
	for _, m := range real.until(t, id) {
		if m["proc.env[FALCOTEST_ID]"] == id {
			count[key(m)]++
			rulesSeen[fmt.Sprint(m["rule"])] = true
			theirs++
		}
	}
	mine := 0
	for _, m := range ours {
		if m["proc.env[FALCOTEST_ID]"] == id {
			count[key(m)]--
			mine++
		}
	}
	for _, k := range slices.Sorted(maps.Keys(count)) {
		switch n := count[k]; {
		case n > 0:
			t.Errorf("Falco alerted %d times more:\n    %s", n, k)
		case n < 0:
			t.Errorf("we alerted %d times more:\n    %s", -n, k)
		}
	}
	t.Logf("%d alerts of Falco's of %d rules, %d of ours", theirs, len(rulesSeen), mine)
}
