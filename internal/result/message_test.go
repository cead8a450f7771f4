// SPDX-License-Identifier: Apache-2.0

package result

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/expect"
)

// What a person reads when an alert is not the one that a test expects.
func TestUnexpectedMessage(t *testing.T) {
	e := expect.Expectation{Rule: "Ledger Read", Priority: expect.Priority(alert.Error), Fields: []expect.Field{{Name: "fd.name", Matcher: expect.Equal("/etc/ledger/a")}}}
	mismatch := e.Check([]*alert.Alert{{Rule: "Ledger Read", Priority: alert.Warning, Output: "ledger read (file=/etc/ledger/b)", Fields: map[string]any{"fd.name": "/etc/ledger/b"}}})
	r := &Result{
		Action: "ledger_read_testCase#0", Rule: "Ledger Read", Test: "rules/x_falcotest.yaml:4:11", Case: "file=/etc/ledger/a",
		Position: Position{File: "rules/x.yaml", Line: 7}, Outcome: Unexpected, Reason: mismatch.Headline(), Difference: mismatch.Lines(), Judge: "a Falco",
	}
	const want = `unexpected: the rule "Ledger Read" fired, and no alert was as expected
  rule      rules/x.yaml:7  Ledger Read
  test      rules/x_falcotest.yaml:4:11  ledger_read_testCase#0
  case      file=/etc/ledger/a
  judge     a Falco
  alerts    Warning  ledger read (file=/etc/ledger/b)
              - priority = Error
              + priority = Warning
              - fd.name = "/etc/ledger/a"
              + fd.name = "/etc/ledger/b"
  next      mend the rule at rules/x.yaml:7, or what the test at rules/x_falcotest.yaml:4:11 expects`
	if diff := cmp.Diff(want, r.Message("")); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
