// SPDX-License-Identifier: Apache-2.0

package spelling

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	names := []string{"evt.type", "proc.name", "syscall.ReadSensitiveFileUntrusted", strings.Repeat("x", 101), strings.Repeat("Ⱥ", 40)}
	for s, want := range map[string]string{
		"proc.nmae":                         "proc.name",
		"EVT.TYP":                           "evt.type",
		"syscall.readSensitiveFileUntrustd": "syscall.ReadSensitiveFileUntrusted",
		"container.id":                      "",
		"":                                  "",
		strings.Repeat("x", 101):            "",
		strings.Repeat("Ⱥ", 39):             "", // its small letter is longer
	} {
		if got := Nearest(s, names); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", s, got, want)
		}
	}
}

func FuzzNearest(f *testing.F) {
	f.Add("proc.nmae", "proc.name")
	f.Add(strings.Repeat("Ⱥ", 33), strings.Repeat("Ⱥ", 34))
	f.Fuzz(func(t *testing.T, s, name string) {
		if got := Nearest(s, []string{name}); got != "" && got != name {
			t.Errorf("Nearest(%q, %q) = %q", s, name, got)
		}
	})
}
