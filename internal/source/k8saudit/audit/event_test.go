// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/falcotest/go-falcotest/internal/source/k8saudit/audit"
)

const stamp = `"stageTimestamp":"2026-11-23T01:34:05.000001Z"`

func event(id string) string {
	return `{"kind":"Event","auditID":"` + id + `",` + stamp + `}`
}

func TestDecode(t *testing.T) {
	tests := []struct {
		name, input string
		want        []string // the ids
		wantErr     string
	}{
		{"one", event("a"), []string{"a"}, ""},
		{"lines", event("a") + "\n" + event("b") + "\n\n", []string{"a", "b"}, ""},
		{"an array", "[" + event("a") + "," + event("b") + "]", []string{"a", "b"}, ""},
		{"arrays in an array", "[[" + event("a") + "],[]," + event("b") + "]", []string{"a", "b"}, ""},
		{"a list", `{"kind":"EventList","items":[` + event("a") + `]}`, []string{"a"}, ""},
		{"a list that says its kind last", `{"items":[` + event("a") + `],"kind":"EventList"}`, []string{"a"}, ""},
		{"items without a kind", `{"kind":"EventList","items":[{"auditID":"a",` + stamp + `}]}`, []string{"a"}, ""},
		{"an empty list", `{"kind":"EventList","items":[]}`, nil, "there are none"},
		{"nothing", " \n", nil, "there are none"},
		{"a list without items", `{"kind":"EventList"}`, nil, "line 1, column 1: this is no audit event"},
		{"another kind", `{"kind":"Pod"}`, nil, "line 1, column 1: this is no audit event"},
		{"another kind in an array", "[" + event("a") + ",\n" + `{"kind":"Pod"},` + event("b") + "]", []string{"a", "b"}, "line 2, column 1: this is no audit event"},
		{"a number", "\n 12", nil, "line 2, column 2: this is no audit event"},
		{"no id", `{"kind":"Event",` + stamp + `}`, nil, "it has no auditID"},
		{"no time", `{"kind":"Event","auditID":"a"}`, nil, "audit event a has no stageTimestamp"},
		{"a bad time", `{"kind":"Event","auditID":"a","stageTimestamp":"now"}`, nil, "audit event a: reading its stageTimestamp"},
		{"a bad one among good ones", event("a") + `{"kind":"Event"}` + event("b"), []string{"a", "b"}, "it has no auditID"},
		{"malformed", event("a") + "\n" + `{"kind":`, []string{"a"}, "line 2, column 9: want a JSON value, found end of input"},
		{"malformed in the middle", event("a") + "\n" + `{"kind" "Event"}`, []string{"a"}, `line 2, column 9: want ':' after a member's name, found '"'`},
		{"an open string", `{"a`, nil, "line 1, column 2: a string without its closing quote"},
		{"an unknown escape", `{"a\x":1}`, nil, "line 1, column 5: unknown escape: found 'x'"},
		{"a line break in a string", "{\"a\n\":1}", nil, `line 1, column 4: control character '\n' in a string`},
		{"too deep", strings.Repeat("[", 400), nil, "more than 300 levels"},
		{"a trailing comma", `[` + event("a") + `,]`, nil, "want a JSON value, found ']'"},
		{"a leading zero", `{"a":01}`, nil, "want ',' or '}', found '1'"},
		{"binary", "\x00\xff", nil, `line 1, column 1: want a JSON value, found '\x00'`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			events, err := audit.Decode(strings.NewReader(tt.input))
			var got []string
			for i, e := range events {
				got = append(got, e.Text("auditID"))
				if e.Num != uint64(i+1) {
					t.Errorf("event %d has number %d", i, e.Num)
				}
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("events (-want +got):\n%s", d)
			}
			switch {
			case tt.wantErr == "" && err != nil:
				t.Error(err)
			case tt.wantErr != "" && (err == nil || !strings.Contains(err.Error(), tt.wantErr)):
				t.Errorf("error %v\nwant one with %q", err, tt.wantErr)
			}
		})
	}
}

// The list of what was wrong does not grow with the input.
func TestDecodeTellsFewProblems(t *testing.T) {
	_, err := audit.Decode(strings.NewReader(strings.Repeat(`{"kind":"Event"}`, 1000)))
	if err == nil || !strings.Contains(err.Error(), "and 990 more such problems") {
		t.Errorf("error %v", err)
	}
}

// A string is what encoding/json makes of it, and any other value its text
// without space.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`"x"`, `{"a": [1, 2.5e3, -0, null, true], "b\u0041": "\ud834\udd1e\n"}`, `[[[]]]`, `01`, `"\u12"`, "\"\x7f\xff\"", `{"a":1,}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		input := `{"kind":"Event","auditID":"a",` + stamp + `,"value":` + value + `}`
		events, err := audit.Decode(strings.NewReader(input))
		if err != nil {
			if json.Valid([]byte(value)) && strings.Count(value, "[")+strings.Count(value, "{") < 200 {
				t.Fatalf("valid JSON is refused: %v", err)
			}
			return
		}
		if !json.Valid([]byte(input)) {
			t.Fatalf("malformed JSON is accepted: %q", input)
		}
		var s string
		if json.Unmarshal([]byte(value), &s) == nil && strings.HasPrefix(strings.TrimSpace(value), `"`) && !strings.Contains(s, "\x00") && utf8.ValidString(value) {
			if got := events[0].Text("value"); got != s {
				t.Errorf("%q is read as %q, want %q", value, got, s)
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	var list strings.Builder
	list.WriteString(`{"kind":"EventList","items":[`)
	for i := range 100 {
		if i > 0 {
			list.WriteByte(',')
		}
		fmt.Fprintf(&list, `{"kind":"Event","auditID":"%d",%s,"verb":"create","objectRef":{"resource":"pods","name":"p"},"requestObject":{"data":%q}}`, i, stamp, strings.Repeat("x", 1000))
	}
	list.WriteString(`]}`)
	b.SetBytes(int64(list.Len()))
	for b.Loop() {
		if _, err := audit.Decode(strings.NewReader(list.String())); err != nil {
			b.Fatal(err)
		}
	}
}
