// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"strings"
	"testing"
)

func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		pattern, s string
		want, fold bool
	}{
		{"", "", true, true},
		{"", "a", false, false},
		{"*", "", true, true},
		{"*", "/a/b", true, true},
		{"/etc/*", "/etc/", true, true},
		{"/etc/*/x", "/etc/a/b/x", true, true},
		{"a*b*c", "aXXbYYc", true, true},
		{"a*b*c", "aXXbYY", false, false},
		{"?", "/", true, true},
		{"?", "", false, false},
		{"[abc]", "b", true, true},
		{"[a-c]x", "bx", true, true},
		{"[!a-c]", "b", false, false},
		{"[^a-c]", "d", true, true},
		{"[]a]", "]", true, true},
		{"[!]a]", "]", false, false},
		{"[a", "[a", true, true},
		{"[a", "a", false, false},
		{"[[:alpha:]]", "x", true, true},
		{"[[:digit:][:space:]]", "5", true, true},
		{"[[:digit:]]", "x", false, false},
		{"[a-]", "-", true, true},
		{"[\\]]", "]", true, true},
		{"\\*", "*", true, true},
		{"\\*", "x", false, false},
		{"a\\", "a\\", false, false},
		{"ABC", "abc", false, true},
		{"[A-C]bc", "Abc", true, true},
		{"[A-C]BC", "abc", false, true},
		{"*.CONF", "/etc/x.conf", false, true},
		{strings.Repeat("*a", 50), strings.Repeat("a", 200) + "b", false, false},
	} {
		if got := glob(tt.pattern, tt.s, false); got != tt.want {
			t.Errorf("glob(%q, %q) is %t, want %t", tt.pattern, tt.s, got, tt.want)
		}
		if got := glob(tt.pattern, tt.s, true); got != tt.fold {
			t.Errorf("glob(%q, %q) ignoring case is %t, want %t", tt.pattern, tt.s, got, tt.fold)
		}
	}
}

func TestPaths(t *testing.T) {
	p := &paths{}
	for _, path := range []string{"/var/run", "/etc", "/lib/", "/usr/lib", "/usr", "rel/ative", "/home/*/.ssh", "/opt/[a-c]?"} {
		p.add(path)
	}
	for path, want := range map[string]bool{
		"/var/run": true, "/var/run/docker": true, "/var": false, "/var/runner": false, "/boot": false,
		"/etc": true, "etc/x": true, "//etc//x/": true, "/lib": true, "/usr/bin": true, "/usr/lib/x": true,
		"/rel/ative/x": true, "/home/me/.ssh/id_rsa": true, "/home/me/x": false, "/home/a/b/.ssh": false,
		"/opt/bx/y": true, "/opt/dx": false, "": false, "/": false,
	} {
		if got := p.match(path); got != want {
			t.Errorf("%q is %t, want %t", path, got, want)
		}
	}
	all := &paths{}
	all.add("/")
	if !all.match("/anything") || !all.match("") {
		t.Error("/ does not hold all paths")
	}
}

// FuzzGlob checks that no pattern takes more than it should: the number of
// steps is bounded by the product of the lengths.
func FuzzGlob(f *testing.F) {
	f.Add("/etc/*", "/etc/passwd")
	f.Add("[[:alpha:]-z]*\\?", "abc")
	f.Add("[!]-\\", "]")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		got := glob(pattern, s, false)
		if !strings.ContainsAny(pattern, `*?[\`) && got != (pattern == s) {
			t.Errorf("glob(%q, %q) is %t", pattern, s, got)
		}
		glob(pattern, s, true)
		if !glob("*"+pattern, s, false) && got {
			t.Errorf("glob(%q, %q), but not with a * before it", pattern, s)
		}
	})
}
