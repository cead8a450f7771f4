// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/falcotest/go-falcotest/internal/scenario"
)

func TestSocketAddress(t *testing.T) {
	for address, want := range map[string]string{
		"203.0.113.10:80":    "020000 50cb00710a0000000000000000",
		"[2001:db8::1]:8080": "0a001f9000000000 20010db800000000000000000000000100000000",
	} {
		got := fmt.Sprintf("%x", socketAddress(netip.MustParseAddrPort(address)))
		if want := strings.ReplaceAll(want, " ", ""); got != want {
			t.Errorf("%s is %s, want %s", address, got, want)
		}
	}
}

// What scripts sleep is added to the deadline, within bounds.
func TestDuration(t *testing.T) {
	step := scenario.Step{Sleep: 5 * time.Minute}
	for script, want := range map[string][2]time.Duration{
		"sleep 6":                       {6 * time.Second, 0},
		"a; sleep 0.5 && sleep 1s":      {1500 * time.Millisecond, 0},
		"if true; then\n  sleep 2\nfi":  {2 * time.Second, 0},
		"sleep 300 & kill $!":           {0, 0},
		"nosleep 5; asleep 5; sleep $n": {0, 0},
		"sleep 1.5m":                    {time.Minute, 30 * time.Second},
		"sleep 1h":                      {time.Minute, 59 * time.Minute},
		"sleep 99999999999999999999999": {time.Minute, 1000*24*time.Hour - time.Minute},
	} {
		sum, over := duration(&scenario.Scenario{Before: script, Steps: []scenario.Step{step}})
		if sum != want[0]+step.Sleep || over != want[1] {
			t.Errorf("%q: %s and %s over, want %s and %s", script, sum-step.Sleep, over, want[0], want[1])
		}
	}
}

func TestImageName(t *testing.T) {
	for name, want := range map[string][2]string{
		"":                             {"", ""},
		"nginx":                        {"nginx", "latest"},
		"nginx:1.27":                   {"nginx", "1.27"},
		"registry:5000/team/nginx":     {"registry:5000/team/nginx", "latest"},
		"nginx@sha256:0123":            {"nginx", ""},
		"registry:5000/nginx:1@sha256": {"registry:5000/nginx", "1"},
	} {
		if repository, tag := imageName(name); repository != want[0] || tag != want[1] {
			t.Errorf("%q is %q, %q", name, repository, tag)
		}
	}
}
