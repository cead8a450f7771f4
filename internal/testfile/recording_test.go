// SPDX-License-Identifier: Apache-2.0

package testfile

import (
	"strings"
	"testing"
)

func TestRecording(t *testing.T) {
	r, err := ParseRecording("incident.yaml", []byte(`
tests:
  - rule: Read sensitive file
    expectedOutcome: {count: 1, outputFields: {fd.name: /etc/shadow, proc.name: {startsWith: c}}}
  - name: others
    rule: [A, B]
    expectedOutcome: {fires: false}
quiet: [C]
`))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Tests) != 3 || len(r.Quiet) != 1 || r.Quiet[0].Rule != "C" {
		t.Fatalf("got %+v", r)
	}
	first, second := r.Tests[0], r.Tests[1]
	if first.Name != "Read sensitive file" || first.Expect.Silent || len(first.Expect.Fields) != 2 || first.RulePos.Line != 3 {
		t.Errorf("the first test is %+v", first)
	}
	if second.Name != "others" || second.Rule != "A" || !second.Expect.Silent || second.Expect.Rule != "A" {
		t.Errorf("the second test is %+v", second)
	}
}

func TestRecordingProblems(t *testing.T) {
	for _, test := range []struct{ yaml, want string }{
		{"{}", "nothing is expected of the recording"},
		{"tests: [{expectedOutcome: {}}]", "incident.yaml:1:"},
		{"tests: [{rule: A, steps: []}]", "steps"},
		{"tests: [{rule: A, expectedOutcome: {fired: true}}]", "did you mean fires?"},
		{"a: [", "incident.yaml:1:"},
		{"", "incident.yaml"},
	} {
		_, err := ParseRecording("incident.yaml", []byte(test.yaml))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: error %v, want %q", test.yaml, err, test.want)
		}
	}
}

func FuzzRecording(f *testing.F) {
	f.Add([]byte("tests: [{rule: A, expectedOutcome: {count: {atLeast: 1}}}]\nquiet: [B]"))
	f.Fuzz(func(_ *testing.T, data []byte) { _, _ = ParseRecording("f.yaml", data) })
}
