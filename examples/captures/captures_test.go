// SPDX-License-Identifier: Apache-2.0

// Package captures_test tests rules on recordings of system calls: what happened
// in an incident, and what happens every day. It needs neither Linux nor any
// privilege.
package captures_test

import (
	"testing"

	"github.com/falcotest/go-falcotest/falcotest"
)

func TestMain(m *testing.M) { falcotest.Main(m) }

// What is expected stands beside each recording: incident.yaml, rotation.yaml.
func TestRecordings(t *testing.T) {
	t.Setenv("FALCOTEST_RULES", "rules/*.yaml")
	falcotest.Replay(t, "testdata/*.scap")
}

// The same in Go.
func TestIncident(t *testing.T) {
	incident := falcotest.ReplayFile(t, "testdata/incident.scap", falcotest.WithRules("rules/*.yaml"))
	incident.Fires(t, "Accounts read after an intrusion", falcotest.Expected{
		Count:        1,
		OutputFields: map[string]string{"fd.name": "/etc/shadow", "proc.pname": "sh"},
	})

	rotation := falcotest.ReplayFile(t, "testdata/rotation.scap", falcotest.WithRules("rules/*.yaml"))
	rotation.Silent(t, "Shell of a web server")
	rotation.Silent(t, "Accounts read after an intrusion")
}
