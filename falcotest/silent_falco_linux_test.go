// SPDX-License-Identifier: Apache-2.0

package falcotest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/falcotest"
)

// falcoURL is where the action below says what a Falco would say of it.
const falcoURL = "SILENT_FALCO_URL"

var _ = events.RegisterWithName(func(h events.Helper) error {
	if _, err := os.ReadFile("/etc/hostname"); err != nil {
		return err
	}
	var fields map[string]any
	if err := json.Unmarshal([]byte(os.Getenv("SILENT_FALCO_FIELDS")), &fields); err != nil {
		return err
	}
	fields["proc.env[FALCOTEST_ID]"] = os.Getenv("FALCOTEST_ID")
	body, err := json.Marshal(map[string]any{
		"time": time.Now().UTC().Format(time.RFC3339Nano), "rule": os.Getenv("SILENT_FALCO_RULE"), "priority": "Notice", "source": "syscall",
		"output": "another", "output_fields": fields,
	})
	if err != nil {
		return err
	}
	resp, err := http.Post(os.Getenv(falcoURL), "application/json", strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	return resp.Body.Close()
}, "fault.ToldByFalco", events.WithDisabled())

// A rule that a Falco could not fire proves nothing by its silence.
func TestSilentFalco(t *testing.T) {
	const rule = `
- rule: Told By Falco
  desc: d
  condition: evt.type in (open, openat, openat2) and fd.name = /etc/hostname
  output: another (container=%container.id user=%user.name)
  priority: NOTICE
- rule: Other User
  desc: d
  condition: evt.type in (open, openat, openat2) and fd.name = /etc/hostname and user.name = nosuchuser
  output: o
  priority: NOTICE
- rule: Other File
  desc: d
  condition: evt.type in (open, openat, openat2) and fd.name = /etc/nosuchfile and user.name = nosuchuser
  output: o
  priority: NOTICE
- rule: Fires Here
  desc: d
  condition: evt.type in (open, openat, openat2) and fd.name = /etc/hostname and container.id exists
  output: o
  priority: NOTICE
`
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte(rule), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, rule, fields, want string
		later                    bool // it alerts on later events
	}{
		{"it knows", "Other User", `{"container.id": "host", "user.name": "root"}`, "", true},
		{"it says <NA>", "Other User", `{"container.id": "host", "user.name": null}`, "this Falco's alerts of the action say <NA> for it", true},
		{"another container", "Other User", `{"container.id": "0123456789ab", "user.name": null}`, "this Falco takes the action's control group for that of a container, 0123456789ab", true},
		{"false in any case", "Other File", `{"container.id": "0123456789ab", "user.name": null}`, "", true},
		{"it has other rules", "Fires Here", `{"container.id": "host", "user.name": "root"}`, "and there the rule did fire", true},
		{"it may stand still", "Other User", `{"container.id": "host", "user.name": "root"}`, "whether it has judged the action is not known", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			url := fmt.Sprintf("http://%s/secret", l.Addr())
			l.Close()
			t.Setenv(falcoURL, url)
			t.Setenv("SILENT_FALCO_RULE", "Told By Falco")
			t.Setenv("SILENT_FALCO_FIELDS", test.fields)
			s := falcotest.Start(t, falcotest.WithFalco(url), falcotest.WithRules(file), falcotest.WithActions("fault.ToldByFalco"),
				falcotest.WithDisabledActions(), falcotest.WithTimeout(500*time.Millisecond))
			if test.later {
				stop := alertAgainAndAgain(t, url)
				defer stop()
			}
			r := &failing{TB: t}
			func() {
				defer func() { recover() }()
				s.Silent(r, "fault.ToldByFalco", test.rule)
			}()
			got := strings.Join(r.said, "\n")
			if test.want == "" && got != "" {
				t.Errorf("it is not silent: %s", got)
			}
			if !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q in it", got, test.want)
			}
		})
	}
}

// alertAgainAndAgain alerts on events of nobody's.
func alertAgainAndAgain(t *testing.T, url string) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for tick := time.Tick(5 * time.Millisecond); ; {
			select {
			case <-ctx.Done():
				return
			case <-tick:
			}
			body := fmt.Sprintf(`{"time": %q, "rule": "Of Another", "priority": "Notice", "source": "syscall", "output": "o", "output_fields": {}}`, time.Now().UTC().Format(time.RFC3339Nano))
			if resp, err := http.Post(url, "application/json", strings.NewReader(body)); err == nil {
				resp.Body.Close()
			}
		}
	}()
	return func() { cancel(); <-done }
}

// A Falco that gives no sign of life has missed nothing that the built-in engine
// sees.
func TestFalcoStandsStill(t *testing.T) {
	const rule = "- rule: Told By Falco\n  desc: d\n  condition: evt.type in (open, openat, openat2) and fd.name = /etc/hostname\n  output: o\n  priority: NOTICE\n"
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte(rule), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, later := range []bool{false, true} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		url := fmt.Sprintf("http://%s/secret", l.Addr())
		l.Close()
		t.Setenv(falcoURL, url)
		t.Setenv("SILENT_FALCO_RULE", "Of Another")
		t.Setenv("SILENT_FALCO_FIELDS", "{}")
		s := falcotest.Start(t, falcotest.WithFalco(url), falcotest.WithRules(file), falcotest.WithActions("fault.ToldByFalco"),
			falcotest.WithDisabledActions(), falcotest.WithTimeout(500*time.Millisecond), falcotest.WithRetries(0))
		want, stop := falcotest.Inconclusive, func() {}
		if later {
			want, stop = falcotest.Missed, alertAgainAndAgain(t, url)
		}
		if r := s.Do(t.Context(), "fault.ToldByFalco"); r.Outcome != want {
			t.Errorf("with later alerts %t: %s, want %s: %s", later, r.Outcome, want, r.Reason)
		}
		stop()
	}
}
