// SPDX-License-Identifier: Apache-2.0

// Package falco starts a Falco for testing, and ends it.
//
// [Start] writes a configuration of its own, loads the rules under test and the
// sentinel rule of internal/verdict, waits until alerts arrive, and gives the
// subscription to them. The Falco ends with [Falco.Close], or with this
// process, however that ends. The package imports internal/outputs for the way
// back, internal/verdict for the sentinel, internal/source for the fields that make
// alerts exact and for plugins, and internal/journal for its directory.
package falco

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/falcotest/go-falcotest/internal/journal"
	"github.com/falcotest/go-falcotest/internal/outputs"
	"github.com/falcotest/go-falcotest/internal/source"
	"github.com/falcotest/go-falcotest/internal/verdict"
)

// Options say which Falco to start and with what. Only the rules have no
// default.
type Options struct {
	// Path is the executable. Default: falco in PATH.
	Path string
	// Rules are the rules files under test, loaded in this order after
	// ExtraRules. After them come the sentinels' rules.
	Rules      []string
	ExtraRules []string
	// EnableAll turns on the rules that are disabled by default.
	EnableAll bool
	// Fields are further output fields that each alert prints, by source.
	Fields map[string][]string
	// Engine is the engine kind. Default: modern_ebpf. With [NoDriver] there are no
	// events but those of plugins, and no sentinel for others.
	Engine string
	// Plugins are loaded besides those of [DefaultPlugins], which they replace
	// where they have the same name.
	Plugins []Plugin
	// Options are passed by -o, as key=value; they win over all else.
	Options []string
	// Outputs are options of the subscription. Its Logf is told the Falco's own
	// log too.
	Outputs outputs.Options
	// StartTimeout bounds the start, up to the first alert. Default: 60 s.
	StartTimeout time.Duration
	// EndTimeout bounds the end, before the Falco is killed. Default: 5 s.
	EndTimeout time.Duration

	sentinel verdict.Sentinel // of the driver's events, in tests; else that of the source
	http     bool             // use the HTTP output also where there is gRPC, in tests
}

// NoDriver is the engine kind of a Falco that needs no privileges: it has the events
// of plugins alone.
const NoDriver = "nodriver"

// Falco is one that runs. Its methods are safe for concurrent use.
type Falco struct {
	opts    Options
	path    string
	ver     string
	dir     string
	journal *journal.Dir // by which a later run removes the directory of one that was killed
	sub     *outputs.Subscription
	log     logTail
	process *os.Process
	// nameless is whether no name server answers here.
	nameless bool
	done     chan struct{} // closed when the process has ended

	mu      sync.Mutex
	ending  bool
	exitErr error
}

// Executable takes the path of a Falco out of a URL of that scheme, "exec" or "replay":
// exec:///usr/bin/falco, or exec: for the one in PATH, for which it returns "".
func Executable(rawURL, scheme string) (string, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "", fmt.Errorf("reading the URL of the Falco: %w", err)
	}
	if u.Scheme != scheme || u.Host != "" || u.RawQuery != "" || (u.Opaque != "" && u.Path != "") {
		return "", fmt.Errorf("the URL %q of the Falco: want %s:///path/to/falco, or %s: for the one in PATH", rawURL, scheme, scheme)
	}
	return u.Path + u.Opaque, nil
}

// Start starts a Falco and waits until it judges: until the alert of a first
// sentinel has come (with the engine "nodriver", until it opens its sources).
// The context bounds the start only.
//
// A Falco that does not start gives an error with the reason from its log; the
// errors in rules files are [*RuleError] values, joined.
//
// The transport is the gRPC outputs API on a private unix socket up to Falco
// 0.43, and its HTTP output to a port of the loopback interface from 0.44,
// which has no gRPC any more.
func Start(ctx context.Context, opts Options) (*Falco, error) {
	if runtime.GOOS != "linux" {
		return nil, fmt.Errorf("starting a Falco: it runs on Linux only, this is %s", runtime.GOOS)
	}
	if opts.Engine == "" {
		opts.Engine = "modern_ebpf"
	}
	if opts.StartTimeout <= 0 {
		opts.StartTimeout = 60 * time.Second
	}
	if opts.EndTimeout <= 0 {
		opts.EndTimeout = 5 * time.Second
	}
	if opts.Outputs.Logf == nil {
		opts.Outputs.Logf = func(string, ...any) {}
	}
	opts.Outputs.Private = true
	ctx, cancel := context.WithTimeout(ctx, opts.StartTimeout)
	defer cancel()

	f := &Falco{opts: opts, done: make(chan struct{})}
	f.log.logf = opts.Outputs.Logf
	var err error
	name := opts.Path
	if name == "" {
		name = "falco"
	}
	if f.path, err = exec.LookPath(name); err != nil {
		return nil, fmt.Errorf("starting a Falco: %w", err)
	}
	if f.ver, err = Version(ctx, f.path); err != nil {
		return nil, fmt.Errorf("starting a Falco: %w", err)
	}
	if f.journal, err = journal.CreateForSocket(rand.Text()[:12], socketName); err != nil {
		return nil, fmt.Errorf("starting a Falco: %w", err)
	}
	f.dir = f.journal.Path()
	if err := f.start(ctx); err != nil {
		f.Close()
		return nil, fmt.Errorf("starting %s (version %s): %w", f.path, f.ver, err)
	}
	return f, nil
}

// socketName is the file name of its gRPC socket.
const socketName = "falco.sock"

func (f *Falco) start(ctx context.Context) error {
	c := config{options: f.opts, plugins: withDefaults(f.path, f.opts.Plugins)}
	socket := filepath.Join(f.dir, socketName)
	if hasGRPC(f.ver) && !f.opts.http {
		c.socket = socket
	} else {
		// The listener comes first: a Falco does not send again what it could
		// not send. Nobody else knows the path.
		sub, err := outputs.Open(ctx, "http://127.0.0.1:0/"+rand.Text(), f.opts.Outputs)
		if err != nil {
			return err
		}
		f.sub = sub
		c.url = sub.Address()
	}
	configFile := filepath.Join(f.dir, "falco.yaml")
	if err := os.WriteFile(configFile, c.yaml(), 0o600); err != nil {
		return fmt.Errorf("writing its configuration: %w", err)
	}
	// -U: without it some versions hold back what they write.
	args := []string{"-U", "-c", configFile}
	for _, r := range append(append([]string(nil), f.opts.ExtraRules...), f.opts.Rules...) {
		if _, err := os.Stat(r); err != nil {
			return fmt.Errorf("rules file: %w", err)
		}
		args = append(args, "-r", r)
	}
	var sentinels string
	for _, src := range source.All() {
		if src.Plugin == nil && f.hasDriver() || pluginOf(src, c.plugins) != nil {
			sentinels += src.Sentinel.YAML
		}
	}
	if sentinels != "" {
		file := filepath.Join(f.dir, "falcotest-sentinel.yaml")
		if err := os.WriteFile(file, []byte(sentinels), 0o600); err != nil {
			return fmt.Errorf("writing the sentinel rules: %w", err)
		}
		args = append(args, "-r", file)
	}
	for _, o := range f.opts.Options {
		args = append(args, "-o", o)
	}
	if f.nameless = unanswered(ctx, net.DefaultResolver); f.nameless {
		f.opts.Outputs.Logf("no name server answers here: this Falco is started without one, and host names in conditions match nothing but what is in /etc/hosts")
	}
	if err := f.run(args); err != nil {
		return err
	}
	// From here on the process may end at any time; then that is the reason.
	err := f.connect(ctx, socket)
	if err != nil {
		select {
		case <-f.done:
			return f.Err()
		default:
		}
		// A dial ends at the context's deadline, maybe before the context does.
		var slow net.Error
		if ctx.Err() != nil || errors.As(err, &slow) && slow.Timeout() {
			return fmt.Errorf("it is not ready: %w; its log ends:\n%s", err, f.log.tail(10))
		}
	}
	return err
}

// connect subscribes and waits for the first alert.
func (f *Falco) connect(ctx context.Context, socket string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-f.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	const again = 20 * time.Millisecond
	for f.sub == nil {
		sub, err := outputs.Open(ctx, "unix://"+socket, f.opts.Outputs)
		switch {
		case err == nil:
			f.mu.Lock()
			f.sub = sub
			f.mu.Unlock()
		case errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED):
			// It does not listen yet.
			t := time.NewTimer(again)
			select {
			case <-t.C:
			case <-ctx.Done():
				t.Stop()
				return err
			}
		default:
			return err
		}
	}
	if !f.hasDriver() {
		return f.log.wait(ctx, "Opening '")
	}
	j := verdict.New(f.sub, verdict.Options{Sentinels: f.Sentinels()})
	defer f.sub.Handle(nil)
	return j.Ready(ctx, source.Default)
}

// run starts the process and watches it.
func (f *Falco) run(args []string) error {
	started := make(chan error, 1)
	go func() {
		// The kernel kills the process when the thread that started it ends
		// (see sysProcAttr), so that thread stays for as long.
		runtime.LockOSThread()
		cmd := exec.Command(f.path, args...)
		cmd.Dir = f.dir
		cmd.Env = environment(f.opts.Plugins, f.nameless)
		cmd.Stdout, cmd.Stderr = &f.log, &f.log
		cmd.SysProcAttr = sysProcAttr()
		cmd.WaitDelay = f.opts.EndTimeout
		if err := cmd.Start(); err != nil {
			close(f.done)
			started <- err
			return
		}
		f.process = cmd.Process
		started <- nil
		err := cmd.Wait()
		f.log.flush()
		f.ended(err)
	}()
	return <-started
}

// environment is the Falco's. With plugins of the user's, written in Go as most
// of them are, each on one processor: plugin-sdk-go would else extract fields in
// a goroutine beside Falco's thread, which on a machine of few processors keeps
// a Kubernetes audit event waiting for 0.7 s (seen with k8saudit 0.18 on two).
// Where no name server answers, its resolver does not wait for one.
func environment(plugins []Plugin, nameless bool) []string {
	env := os.Environ()
	if nameless && os.Getenv("RES_OPTIONS") == "" {
		env = append(env, giveUp)
	}
	if _, set := os.LookupEnv("GOMAXPROCS"); len(plugins) > 0 && !set {
		env = append(env, "GOMAXPROCS=1")
	}
	return env
}

// ended notes that the process is no more, and tells those who wait for alerts.
func (f *Falco) ended(err error) {
	f.mu.Lock()
	reason := f.log.reason()
	switch {
	case reason != nil:
		err = reason
	case err == nil:
		err = fmt.Errorf("it ended by itself; its log ends:\n%s", f.log.tail(10))
	default:
		err = fmt.Errorf("it ended: %w; its log ends:\n%s", err, f.log.tail(10))
	}
	f.exitErr = err
	sub, ending := f.sub, f.ending
	f.mu.Unlock()
	close(f.done)
	if sub != nil && !ending {
		sub.Inject(outputs.Event{Kind: outputs.Gone, Err: fmt.Errorf("the Falco %s: %w", f.path, err)})
	}
}

func (f *Falco) hasDriver() bool { return f.opts.Engine != NoDriver }

// Sentinels are those of the driver's events, that this Falco answers.
func (f *Falco) Sentinels() map[string]verdict.Sentinel {
	if !f.hasDriver() {
		return map[string]verdict.Sentinel{}
	}
	s := f.opts.sentinel
	if s.Trigger == nil {
		s.Trigger = source.ByName(source.Default).Sentinel.Trigger
	}
	return map[string]verdict.Sentinel{source.Default: s}
}

// Has tells whether it has the plugin of a source, and with it the rule of the
// source's sentinel.
func (f *Falco) Has(src *source.Source) bool { return pluginOf(src, f.opts.Plugins) != nil }

// Subscription is the way to the alerts; [Falco.Close] closes it. When the
// Falco ends by itself, it delivers [outputs.Gone].
func (f *Falco) Subscription() *outputs.Subscription { return f.sub }

// Version is what the executable says, e.g. "0.43.1".
func (f *Falco) Version() string { return f.ver }

// Path is the executable.
func (f *Falco) Path() string { return f.path }

// PID is the Falco's process.
func (f *Falco) PID() int { return f.process.Pid }

// Done is closed when the Falco has ended, and [Falco.Err] then says why.
func (f *Falco) Done() <-chan struct{} { return f.done }

// Err is why the Falco ended, or nil while it runs.
func (f *Falco) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.exitErr
}

// Log returns the last lines of the Falco's log, at most n.
func (f *Falco) Log(n int) []string { return f.log.last(n) }

// Close ends the Falco, at first politely, and removes its files.
func (f *Falco) Close() error {
	f.mu.Lock()
	f.ending = true
	sub := f.sub
	f.mu.Unlock()
	var err error
	if sub != nil {
		// First of all: a Falco waits for its clients before it ends.
		err = sub.Close()
	}
	if f.process != nil {
		f.process.Signal(syscall.SIGTERM)
		t := time.NewTimer(f.opts.EndTimeout)
		select {
		case <-f.done:
		case <-t.C:
			f.process.Kill()
			<-f.done
		}
		t.Stop()
	}
	_, removed := f.journal.Close()
	return errors.Join(err, removed)
}

// hasGRPC tells whether a version of Falco has the gRPC outputs API. One
// without a number is a build of its newest source.
func hasGRPC(version string) bool {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	m, err1 := strconv.Atoi(major)
	n, err2 := strconv.Atoi(minor)
	return err1 == nil && err2 == nil && m == 0 && n > 0 && n <= 43
}
