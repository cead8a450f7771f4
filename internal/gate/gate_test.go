// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"testing"
)

// With -count, a rule that is detected in some runs of a test and missed in others is
// flaky, from then on and with its rate; what says nothing of it does not count.
func TestFlaky(t *testing.T) {
	history.Lock()
	history.of = nil // with -count, of this test's last run
	history.Unlock()
	for _, run := range []struct{ outcome, want, reason string }{
		{Detected, Detected, ""},
		{Skipped, Skipped, ""},
		{Missed, Flaky, "detected in 1 of 2 runs"},
		{Detected, Flaky, "detected in 2 of 3 runs"},
	} {
		entries := []Entry{{Rule: "Sometimes", Outcome: run.outcome}, {Rule: "Always", Outcome: Detected}}
		note(t.Name(), entries)
		if last := entries[0]; last.Outcome != run.want || last.Reason != run.reason {
			t.Errorf("%s became %q, %q; want %q, %q", run.outcome, last.Outcome, last.Reason, run.want, run.reason)
		}
		if entries[1].Outcome != Detected {
			t.Errorf("a rule that is always detected is %q", entries[1].Outcome)
		}
		// Another test's runs are its own.
		other := []Entry{{Rule: "Sometimes", Outcome: Missed}}
		if note(t.Name()+"/other", other); other[0].Outcome != Missed {
			t.Errorf("another test's rule is %q", other[0].Outcome)
		}
	}
}
