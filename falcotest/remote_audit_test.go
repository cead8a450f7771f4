// SPDX-License-Identifier: Apache-2.0

package falcotest_test

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/falcotest/go-falcotest/falcotest"
	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/kube"
	"github.com/falcotest/go-falcotest/internal/machine"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/serve"
	"github.com/falcotest/go-falcotest/internal/source"
	"github.com/falcotest/go-falcotest/internal/source/k8saudit/audit"
)

// auditFalco is what a session sees of a Falco with the plugin k8saudit: an
// endpoint for audit events, and the gRPC outputs API.
type auditFalco struct {
	server  *serve.Server
	webhook string

	mu        sync.Mutex
	evaluator *engine.Evaluator // nil when the plugin is not there
}

func startAuditFalco(t *testing.T) *auditFalco {
	t.Helper()
	f := &auditFalco{}
	var err error
	if f.server, err = serve.Start(serve.Options{}); err != nil {
		t.Fatal(err)
	}
	handler := audit.NewHandler(audit.HandlerOptions{Handle: func(event *audit.Event) {
		f.evaluator.Evaluate(audit.SourceName, event, func(a *alert.Alert) { f.server.Publish(a) })
	}})
	plugin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		switch {
		case f.evaluator == nil:
			panic(http.ErrAbortHandler)
		case r.Method != http.MethodPost: // as the plugin does
			http.Error(w, "not allowed", http.StatusMethodNotAllowed)
		default:
			handler.ServeHTTP(w, r)
		}
	}))
	f.webhook = plugin.URL + "/k8s-audit"
	t.Cleanup(func() { plugin.Close(); f.server.Close() })
	return f
}

// load gives the Falco rules.
func (f *auditFalco) load(t *testing.T, text string) {
	t.Helper()
	set, err := rules.Load(t.Context(), []string{write(t, text)}, rules.Options{Sources: []filter.Source{audit.Source()}})
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(set, engine.Options{Matching: engine.All, Hostname: machine.Hostname()})
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.evaluator = e.NewEvaluator()
}

// drop takes the plugin away.
func (f *auditFalco) drop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.evaluator = nil
}

// write writes a rules file.
func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return file
}

const privilegedPod = `
- rule: Create Privileged Pod
  desc: A pod with all privileges is created.
  condition: ka.verb = create and ka.target.resource = pods and ka.req.pod.containers.privileged intersects (true)
  output: Privileged pod | pod=%ka.resp.name ns=%ka.target.namespace user=%ka.user.name
  priority: WARNING
  source: k8s_audit
`

// A Falco that has the plugin k8saudit judges what the API server of the run
// sees: its events pass through here, so that a miss is explained.
func TestFalcoJudgesAudit(t *testing.T) {
	needKube(t)
	broken := strings.Replace(privilegedPod, "resource = pods", "resource = pod", 1)
	tests := []struct {
		name   string
		falco  string // its rules, beside the sentinel's
		tested string // if not the same
		gone   bool   // the plugin is, once the API server has been started
		want   falcotest.Outcome
		reason string
		why    string
		note   string
	}{
		{name: "detected", falco: privilegedPod, want: falcotest.Detected},
		{
			name: "missed for sure", falco: broken,
			want: falcotest.Missed, reason: "everything that the action did has been judged",
			why: `ka.target.resource = "pods"`, note: "the built-in engine judged the same audit events",
		},
		{
			name: "missed by another configuration", falco: broken, tested: privilegedPod,
			want: falcotest.Missed, note: "and there the rule did fire: the Falco that judged has other rules",
		},
		{
			name: "the plugin is gone", falco: privilegedPod, gone: true,
			want: falcotest.Inconclusive, reason: "audit events were lost: handing audit events on to the Falco, 1 at once: ",
		},
	}
	f := startAuditFalco(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f.load(t, tt.falco+source.ByName("k8s_audit").Sentinel.YAML)
			timeout := time.Minute // the sentinel ends the wait
			if tt.gone {
				timeout = 5 * time.Second
			}
			s := falcotest.Start(t, falcotest.WithRules(write(t, cmp.Or(tt.tested, tt.falco))), falcotest.WithDisabledActions(),
				falcotest.WithFalco(f.server.URL()), falcotest.WithTimeout(timeout), falcotest.WithRetries(0),
				falcotest.WithKubernetes(falcotest.Kubernetes{AuditWebhook: f.webhook}))
			const action = "k8saudit.CreatePrivilegedPod"
			if tt.gone {
				s.Do(t.Context(), action)
				f.drop()
			}
			r := s.Do(t.Context(), action)
			if r.Outcome != tt.want || !strings.Contains(r.Reason, tt.reason) || !strings.Contains(r.Why, tt.why) || !strings.Contains(r.WhyNote, tt.note) {
				t.Errorf("%s: %s\nwhy: %s\nnote: %s\nlog: %s", r.Outcome, r.Reason, r.Why, r.WhyNote, r.Log)
			}
		})
	}
}

// The same Falco judges what a cluster that there is sends to its plugin. Its
// events do not pass through here, so that a miss is not explained.
func TestFalcoJudgesOwnCluster(t *testing.T) {
	needKube(t)
	f := startAuditFalco(t)
	c, err := kube.Start(t.Context(), kube.Options{WebhookURL: f.webhook})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, tt := range []struct {
		rules string
		want  falcotest.Outcome
		note  string
	}{
		{privilegedPod, falcotest.Detected, ""},
		{strings.Replace(privilegedPod, "resource = pods", "resource = pod", 1), falcotest.Missed, "do not pass through here"},
	} {
		t.Run(tt.want.String(), func(t *testing.T) {
			f.load(t, tt.rules+source.ByName("k8s_audit").Sentinel.YAML)
			s := falcotest.Start(t, falcotest.WithRules(write(t, tt.rules)), falcotest.WithDisabledActions(),
				falcotest.WithFalco(f.server.URL()), falcotest.WithTimeout(time.Minute), falcotest.WithRetries(0),
				falcotest.WithKubernetes(falcotest.Kubernetes{Kubeconfig: c.Kubeconfig()}))
			r := s.Do(t.Context(), "k8saudit.CreatePrivilegedPod")
			if r.Outcome != tt.want || !strings.Contains(r.WhyNote, tt.note) || !strings.Contains(r.Judge, "on the cluster at https://127.0.0.1:") {
				t.Errorf("%s: %s\njudge: %s\nnote: %s\nlog: %s", r.Outcome, r.Reason, r.Judge, r.WhyNote, r.Log)
			}
		})
	}
}

// needKube skips the test where no API server can be started.
func needKube(t *testing.T) {
	t.Helper()
	if _, err := kube.Find(); err != nil {
		if errors.Is(err, kube.ErrNoBinaries) && os.Getenv("CI") == "" {
			t.Skip(err)
		}
		t.Fatal(err)
	}
}

// What is said of an AuditWebhook that is no plugin of a Falco's.
func TestAuditWebhookErrors(t *testing.T) {
	f := startAuditFalco(t)
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	for _, tt := range []struct {
		webhook string
		outcome falcotest.Outcome
		want    string
	}{
		{"", falcotest.Skipped, "FALCOTEST_AUDIT_WEBHOOK says where its plugin k8saudit listens"},
		{"127.0.0.1:9765", falcotest.TriggerFailed, `AuditWebhook "127.0.0.1:9765": want a URL`},
		{other.URL + "/k8s-audit", falcotest.TriggerFailed, "it answers 404 Not Found; is the path that of the plugin's open_params?"},
		{"http://" + freeAddress(t) + "/k8s-audit", falcotest.TriggerFailed, "no k8saudit plugin of a Falco listens there"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		s := falcotest.Start(t, falcotest.WithRules(write(t, privilegedPod)), falcotest.WithDisabledActions(),
			falcotest.WithFalco(f.server.URL()), falcotest.WithKubernetes(falcotest.Kubernetes{AuditWebhook: tt.webhook}))
		r := s.Do(ctx, "k8saudit.CreatePrivilegedPod")
		cancel()
		if r.Outcome != tt.outcome || !strings.Contains(r.Reason, tt.want) {
			t.Errorf("%q: %s: %s", tt.webhook, r.Outcome, r.Reason)
		}
	}
}

// The rules that a running Falco may be given are the ones that the judge knows.
func TestDocumentedSentinels(t *testing.T) {
	doc, err := os.ReadFile("JUDGES.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{source.ByName("syscall").Sentinel.YAML, source.ByName("k8s_audit").Sentinel.YAML} {
		for line := range strings.Lines(text) {
			for _, part := range []string{"- rule: ", "  condition: ", "  output: ", "  priority: "} {
				if strings.HasPrefix(line, part) && !strings.Contains(string(doc), line) {
					t.Errorf("JUDGES.md lacks the line %q", line)
				}
			}
		}
	}
}
