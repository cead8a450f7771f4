// SPDX-License-Identifier: Apache-2.0

//go:build linux

package falco

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/falcotest/go-falcotest/internal/journal"
	"github.com/falcotest/go-falcotest/internal/outputs"
	"github.com/falcotest/go-falcotest/internal/source"
	_ "github.com/falcotest/go-falcotest/internal/source/all"
	"github.com/falcotest/go-falcotest/internal/verdict"
)

// standInOptions prepares a stand-in of a version that fails in a way.
func standInOptions(t *testing.T, version, fail string) Options {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	opens := filepath.Join(dir, "opens")
	rules := filepath.Join(dir, "rules.yaml")
	if err := os.Mkdir(opens, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(rules, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(envVersion, version)
	t.Setenv(envFail, fail)
	t.Setenv("FALCO_STANDIN_OPENS", opens)
	t.Setenv(envTrace, filepath.Join(dir, "args"))
	return Options{
		Path:  exe,
		Rules: []string{rules},
		sentinel: verdict.Sentinel{Trigger: func(_ context.Context, nonce string) error {
			return os.WriteFile(filepath.Join(opens, nonce), nil, 0o600)
		}},
		Outputs: outputs.Options{Logf: t.Logf},
	}
}

// mayNotLeave fails the test if folders of a Falco are left.
func mayNotLeave(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	t.Cleanup(func() {
		left, err := os.ReadDir(tmp)
		if err != nil {
			t.Error(err)
		}
		for _, e := range left {
			t.Errorf("%s was left behind", e.Name())
		}
	})
}

func TestStart(t *testing.T) {
	for _, tt := range []struct{ version, scheme string }{
		{"0.38.0", "unix"}, {"0.43.1", "unix"}, {"0.44.0", "http"}, {"0.45.0-rc1", "http"}, {"1.0.0", "http"},
	} {
		t.Run(tt.version, func(t *testing.T) {
			opts := standInOptions(t, tt.version, "")
			mayNotLeave(t)
			extra := filepath.Join(filepath.Dir(opts.Rules[0]), "extra.yaml")
			if err := os.WriteFile(extra, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			opts.ExtraRules = []string{extra}
			opts.Options = []string{"engine.kind=replay"}
			f, err := Start(t.Context(), opts)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if f.Version() != tt.version {
				t.Errorf("version %q, want %q", f.Version(), tt.version)
			}
			if got := f.Subscription().Address(); !strings.HasPrefix(got, tt.scheme+"://") {
				t.Errorf("alerts come by %s, want %s", got, tt.scheme)
			}
			b, err := os.ReadFile(os.Getenv(envTrace))
			if err != nil {
				t.Fatal(err)
			}
			dir := f.dir
			want := []string{"-U", "-c", dir + "/falco.yaml", "-r", extra, "-r", opts.Rules[0], "-r", dir + "/falcotest-sentinel.yaml", "-o", "engine.kind=replay"}
			if diff := cmp.Diff(want, strings.Split(string(b), "\n")); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
			j := verdict.New(f.Subscription(), verdict.Options{Sentinels: f.Sentinels()})
			p := j.Expect(verdict.Expectation{ID: "ftaaaaaaaaaaaaaa"})
			p.Started()
			p.Ended()
			if v, err := p.Wait(t.Context()); err != nil || v.Outcome != verdict.Missed {
				t.Errorf("got %v, %v; want missed", v, err)
			}
			pid := f.PID()
			if err := f.Close(); err != nil {
				t.Error(err)
			}
			if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
				t.Errorf("the process %d is still there: %v", pid, err)
			}
		})
	}
}

func TestStartFails(t *testing.T) {
	for _, tt := range []struct{ fail, want string }{
		{"bad rules", "rules/bad.yaml:3:14: rule 'A': LOAD_ERR_COMPILE_CONDITION"},
		{"no privileges", "a Falco needs root, or the capabilities"},
		{"bad option", `Error parsing config option "nonsense"`},
		{"crash", "signal: killed"},
		{"not falco", "does not print a Falco's version"},
		{"silent", "it is not ready"},
		{"hang", "it is not ready"},
	} {
		t.Run(tt.fail, func(t *testing.T) {
			opts := standInOptions(t, "0.43.1", tt.fail)
			mayNotLeave(t)
			if tt.want == "it is not ready" {
				opts.StartTimeout = 500 * time.Millisecond
			}
			f, err := Start(t.Context(), opts)
			if err == nil {
				f.Close()
				t.Fatal("it started")
			}
			if tt.fail == "bad rules" {
				var re *RuleError
				if !errors.As(err, &re) || re.Line != 3 || re.Column != 14 {
					t.Errorf("%#v is no RuleError at 3:14", err)
				}
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %q\nwant %q in it", err, tt.want)
			}
		})
	}
	t.Run("no such executable", func(t *testing.T) {
		if _, err := Start(t.Context(), Options{Path: "/nonexistent/falco"}); err == nil {
			t.Error("it started")
		}
	})
	t.Run("no such rules file", func(t *testing.T) {
		opts := standInOptions(t, "0.43.1", "")
		opts.Rules = []string{"/nonexistent/rules.yaml"}
		if _, err := Start(t.Context(), opts); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("got %v, want a missing file", err)
		}
	})
}

func TestDiesLater(t *testing.T) {
	opts := standInOptions(t, "0.44.0", "dies")
	f, err := Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	j := verdict.New(f.Subscription(), verdict.Options{Sentinels: f.Sentinels()})
	p := j.Expect(verdict.Expectation{ID: "ftaaaaaaaaaaaaaa"})
	p.Started()
	p.Ended() // the second sentinel, at which it dies
	v, err := p.Wait(t.Context())
	if err != nil || v.Outcome != verdict.Inconclusive || !strings.Contains(v.Reason, "something broke inside") {
		t.Errorf("got %+v, %v; want inconclusive, with the reason", v, err)
	}
}

func TestDeafIsKilled(t *testing.T) {
	opts := standInOptions(t, "0.44.0", "deaf")
	opts.EndTimeout = 10 * time.Millisecond
	f, err := Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	<-f.Done()
}

// TestEndsWithItsParent kills a process that has started a stand-in.
func TestEndsWithItsParent(t *testing.T) {
	if os.Getenv("FALCO_TEST_PARENT") != "" {
		opts := standInOptions(t, "0.44.0", "deaf")
		f, err := Start(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("started\n")
		<-f.Done()
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.Command(exe, "-test.run=^TestEndsWithItsParent$", "-test.v")
	cmd.Env = append(os.Environ(), "FALCO_TEST_PARENT=1", "TMPDIR="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1<<16)
	var text string
	for !strings.Contains(text, "started\n") {
		n, err := out.Read(buf)
		text += string(buf[:n])
		if err != nil {
			t.Fatalf("%v: %s", err, text)
		}
	}
	pids := childrenOf(t, cmd.Process.Pid)
	cmd.Process.Kill()
	cmd.Wait()
	if len(pids) != 1 {
		t.Fatalf("children %v, want one", pids)
	}
	// The kernel has sent the signal as the parent died; what is left is its
	// delivery.
	for alive(pids[0]) {
		runtime.Gosched()
		if t.Context().Err() != nil {
			t.Fatal("the Falco outlived its parent")
		}
	}
	// What is left of it is its directory, which a later run removes.
	if _, err := journal.Recover(dir); err != nil {
		t.Error(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "falcotest-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// childrenOf returns the processes whose parent a process is.
func childrenOf(t *testing.T, parent int) []int {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state ppid: the name may hold anything.
		rest := string(b[strings.LastIndexByte(string(b), ')')+1:])
		if f := strings.Fields(rest); len(f) > 1 && f[1] == strconv.Itoa(parent) && f[0] != "Z" {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// alive tells whether a process runs; a zombie does not.
func alive(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	return len(f) > 0 && f[0] != "Z" && f[0] != "X"
}

func TestExecutable(t *testing.T) {
	for _, tt := range []struct {
		url, want string
		ok        bool
	}{
		{"exec:", "", true},
		{"exec://", "", true},
		{"exec:///usr/bin/falco", "/usr/bin/falco", true},
		{"exec:falco-nightly", "falco-nightly", true},
		{"exec://usr/bin/falco", "", false},
		{"unix:///x", "", false},
	} {
		got, err := Executable(tt.url, "exec")
		if got != tt.want || (err == nil) != tt.ok {
			t.Errorf("%s: got %q, %v", tt.url, got, err)
		}
	}
}

func TestParsePlugin(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want Plugin
		ok   bool
	}{
		{"/p/libcontainer.so", Plugin{Name: "container", Library: "/p/libcontainer.so"}, true},
		{"k8saudit=/p/x.so,http://127.0.0.1:9765/k8s-audit", Plugin{"k8saudit", "/p/x.so", "http://127.0.0.1:9765/k8s-audit"}, true},
		{"json", Plugin{}, false},
	} {
		got, err := ParsePlugin(tt.in)
		if (err == nil) != tt.ok || (tt.ok && got != tt.want) {
			t.Errorf("%s: got %+v, %v", tt.in, got, err)
		}
	}
}

func FuzzParseErrors(f *testing.F) {
	f.Add(badRules)
	f.Add("Error: x: Invalid\n------\nIn : (a:9:9)\nLOAD_ERR_X (): ")
	f.Fuzz(func(t *testing.T, log string) {
		for _, err := range parseErrors(strings.Split(log, "\n")) {
			_ = err.Error()
		}
	})
}

// A Falco that judges Kubernetes audit events is told what to print of them,
// and has their sentinel.
func TestAuditPlugin(t *testing.T) {
	mayNotLeave(t)
	start := func(plugins ...Plugin) (f *Falco, config, sentinels string) {
		opts := standInOptions(t, "0.43.1", "")
		opts.Plugins = plugins
		f, err := Start(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		read := func(name string) string {
			b, err := os.ReadFile(filepath.Join(f.dir, name))
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		return f, read("falco.yaml"), read("falcotest-sentinel.yaml")
	}
	f, config, sentinels := start(
		Plugin{Name: "k8saudit", Library: "/lib/libk8saudit.so", OpenParams: "http://127.0.0.1:9765/k8s-audit"},
		Plugin{Name: "json", Library: "/lib/libjson.so"})
	var got struct {
		Appended []struct {
			Match  struct{ Source string }
			Fields []string `json:"extra_fields"`
		} `json:"append_output"`
		Load []string `json:"load_plugins"`
	}
	if err := json.Unmarshal([]byte(config), &got); err != nil {
		t.Fatal(err)
	}
	if !f.Has(source.ByName("k8s_audit")) || len(got.Appended) != 2 || got.Appended[1].Match.Source != "k8s_audit" || !slices.Equal(got.Appended[1].Fields, []string{"ka.useragent"}) {
		t.Errorf("judges audit events: %v, with %+v", f.Has(source.ByName("k8s_audit")), got)
	}
	if want := []string{"k8saudit", "json"}; !slices.Equal(got.Load, want) {
		t.Errorf("loads %q, want %q", got.Load, want)
	}
	if want := source.ByName("syscall").Sentinel.YAML + source.ByName("k8s_audit").Sentinel.YAML; sentinels != want {
		t.Errorf("sentinels:\n%s", sentinels)
	}
	if f, config, sentinels = start(); f.Has(source.ByName("k8s_audit")) || strings.Contains(config, "k8s_audit") || strings.Contains(sentinels, "k8s_audit") {
		t.Errorf("without the plugin:\n%s\n%s", config, sentinels)
	}
}

func TestAddress(t *testing.T) {
	for _, tt := range []struct {
		plugins []Plugin
		want    string
	}{
		{nil, ""},
		{[]Plugin{{Name: "json"}, {Name: "k8saudit", OpenParams: "http://127.0.0.1:9765/k8s-audit"}}, "http://127.0.0.1:9765/k8s-audit"},
		{[]Plugin{{Name: "k8saudit", OpenParams: "/var/log/audit.jsonl"}}, ""},
		{[]Plugin{{Name: "k8saudit-eks", OpenParams: "my-cluster"}}, ""},
	} {
		if got := Address(source.ByName("k8s_audit"), tt.plugins); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.plugins, got, tt.want)
		}
	}
}

// Plugins extract fields in Falco's own thread, unless the user says otherwise.
func TestEnvironment(t *testing.T) {
	plugins := []Plugin{{Name: "k8saudit"}}
	t.Setenv("GOMAXPROCS", "3")
	if got := environment(plugins, false); slices.Contains(got, "GOMAXPROCS=1") {
		t.Error("the user's GOMAXPROCS was replaced")
	}
	os.Unsetenv("GOMAXPROCS")
	if got := environment(plugins, false); !slices.Contains(got, "GOMAXPROCS=1") {
		t.Error("GOMAXPROCS=1 is missing")
	}
	if got := environment(nil, false); slices.Contains(got, "GOMAXPROCS=1") {
		t.Error("GOMAXPROCS=1 without plugins")
	}
}

// The plugins for audit events are found where they are installed with a Falco.
func TestWithPlugins(t *testing.T) {
	dir := t.TempDir()
	falco := filepath.Join(dir, "bin", "falco")
	plugins := filepath.Join(dir, "share", "falco", "plugins")
	for _, file := range []string{falco, filepath.Join(plugins, "libk8saudit.so"), filepath.Join(plugins, "libjson.so")} {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	got, err := WithPlugins(falco, source.ByName("k8s_audit"), nil)
	if err != nil || len(got) != 2 || got[0].Name != "k8saudit" || got[1].Name != "json" || !strings.HasPrefix(Address(source.ByName("k8s_audit"), got), "http://127.0.0.1:") {
		t.Errorf("got %+v, %v", got, err)
	}
	own := []Plugin{{Name: "k8saudit-eks", Library: "/p/libeks.so", OpenParams: "cluster"}, {Name: "json", Library: "/p/libjson.so"}}
	if got, err := WithPlugins(falco, source.ByName("k8s_audit"), own); err != nil || !slices.Equal(got, own) {
		t.Errorf("the user's: got %+v, %v", got, err)
	}
	if _, err := WithPlugins(filepath.Join(dir, "none"), source.ByName("k8s_audit"), nil); err == nil {
		t.Error("no error for a Falco that there is not")
	}
}

// The container plugin is told of the engine that the environment names, and
// every alert prints whether it knows the container.
func TestContainerPlugin(t *testing.T) {
	c := config{plugins: []Plugin{{Name: "container", Library: "/p/libcontainer.so"}}}
	type conf struct {
		Plugins []struct {
			Init *struct {
				Engines map[string]struct{ Sockets []string }
			} `json:"init_config"`
		}
		Appended []struct {
			Fields []string `json:"extra_fields"`
		} `json:"append_output"`
	}
	read := func() (got conf) {
		t.Helper()
		if err := json.Unmarshal(c.yaml(), &got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	t.Setenv("DOCKER_HOST", "unix:///tmp/own/docker.sock")
	t.Setenv("CONTAINER_HOST", "")
	got := read()
	if got.Plugins[0].Init == nil || !slices.Equal(got.Plugins[0].Init.Engines["docker"].Sockets, []string{"/var/run/docker.sock", "/tmp/own/docker.sock"}) {
		t.Errorf("got %+v", got.Plugins)
	}
	if !slices.Contains(got.Appended[0].Fields, "container.name") {
		t.Errorf("alerts print %q", got.Appended[0].Fields)
	}
	t.Setenv("DOCKER_HOST", "")
	if got := read(); got.Plugins[0].Init != nil {
		t.Errorf("with the usual sockets: %+v", got.Plugins[0].Init)
	}
	c.plugins = nil
	if got := read(); slices.Contains(got.Appended[0].Fields, "container.name") {
		t.Errorf("without the plugin, alerts print %q", got.Appended[0].Fields)
	}
}
