// SPDX-License-Identifier: Apache-2.0

package gotest

import "testing"

func TestFilter(t *testing.T) {
	const parent, subtest = "TestRules", "syscall.ReadSensitiveFile"
	for _, c := range []struct {
		run, skip string
		want      bool
	}{
		{"", "", true},
		{"TestRules", "", true},
		{"Rules", "", true},
		{"^TestOther$", "", false},
		{"TestRules/syscall.ReadSensitiveFile", "", true},
		{"TestRules/ReadSens", "", true},
		{"TestRules/syscall.Other", "", false},
		{"TestRules/[S/]ensitive", "", true},
		{"TestOther|TestRules/Read", "", true},
		{"TestOther/Read|TestRules/None", "", false},
		{"Test(Rules|Other)/(Read|Write)", "", true},
		{"TestRules/Read/deeper", "", true},
		{"/Read", "", true},
		{"TestRules/(unclosed", "", false},
		{"", "TestRules", false},
		{"", "TestRules/Read", false},
		{"", "TestRules/Other", true},
		{"", "TestRules/Read/deeper", true},
		{"TestRules", "Other|Rules/Sensitive", false},
	} {
		if got := (Filter{c.run, c.skip}).Selects(parent, subtest); got != c.want {
			t.Errorf("-run %q -skip %q selects %s/%s: %v, want %v", c.run, c.skip, parent, subtest, got, c.want)
		}
	}
}
