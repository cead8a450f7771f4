// SPDX-License-Identifier: Apache-2.0

package falcotest_test

import (
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
		"time": time.Now().UTC().Format(time.RFC3339Nano), "rule": "Told By Falco", "priority": "Notice", "source": "syscall",
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
	}{
		{"it knows", "Other User", `{"container.id": "host", "user.name": "root"}`, ""},
		{"it says <NA>", "Other User", `{"container.id": "host", "user.name": null}`, "this Falco's alerts of the action say <NA> for it"},
		{"another container", "Other User", `{"container.id": "0123456789ab", "user.name": null}`, "this Falco takes the action's control group for that of a container, 0123456789ab"},
		{"false in any case", "Other File", `{"container.id": "0123456789ab", "user.name": null}`, ""},
		{"it has other rules", "Fires Here", `{"container.id": "host", "user.name": "root"}`, "and there the rule did fire"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			url := fmt.Sprintf("http://%s/secret", l.Addr())
			l.Close()
			t.Setenv(falcoURL, url)
			t.Setenv("SILENT_FALCO_FIELDS", test.fields)
			s := falcotest.Start(t, falcotest.WithFalco(url), falcotest.WithRules(file), falcotest.WithActions("fault.ToldByFalco"),
				falcotest.WithDisabledActions(), falcotest.WithTimeout(100*time.Millisecond))
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
