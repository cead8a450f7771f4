// SPDX-License-Identifier: Apache-2.0

package alert

import (
	"encoding/json"
	"testing"
)

func TestParsePriority(t *testing.T) {
	for p := Emergency; p <= Debug; p++ {
		if got, err := ParsePriority(p.String()); err != nil || got != p {
			t.Errorf("ParsePriority(%q) = %v, %v", p, got, err)
		}
	}
	for _, text := range []string{"WARNING", "warning", "Warning"} {
		if got, err := ParsePriority(text); err != nil || got != Warning {
			t.Errorf("ParsePriority(%q) = %v, %v", text, got, err)
		}
	}
	if got, err := ParsePriority("info"); err != nil || got != Informational {
		t.Errorf("ParsePriority(info) = %v, %v", got, err)
	}
	if _, err := ParsePriority("urgent"); err == nil {
		t.Error("urgent is a priority")
	}
	if got := Priority(9).String(); got != "Priority(9)" {
		t.Errorf("got %q", got)
	}
}

func TestField(t *testing.T) {
	a := &Alert{Fields: map[string]any{
		"proc.name": "cat", "proc.pid": json.Number("12"), "fd.num": int64(3), "fd.sip": nil,
		"fd.name": "<NA>", "ka.req.service.type": "null", "container.image": "",
	}}
	for name, want := range map[string]struct {
		text string
		ok   bool
	}{
		"proc.name": {"cat", true}, "proc.pid": {"12", true}, "fd.num": {"3", true}, "container.image": {"", true},
		"fd.sip": {}, "fd.name": {}, "user.name": {}, "ka.req.service.type": {"null", true},
	} {
		if text, ok := a.Field(name); text != want.text || ok != want.ok {
			t.Errorf("Field(%q) = %q, %v, want %q, %v", name, text, ok, want.text, want.ok)
		}
	}
}
