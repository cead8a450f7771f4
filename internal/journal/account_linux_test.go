// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"os"
	"os/user"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAddUsers makes a user whom two runs need, and finds the files as before
// when the second has ended.
func TestAddUsers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: users are made")
	}
	files := func() (lines []string) {
		for _, name := range []string{passwdFile, groupFile} {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(data)) {
				if !strings.Contains(line, Temporary) { // of another run
					lines = append(lines, line)
				}
			}
		}
		return lines
	}
	const name = "ft-journal-user"
	before := files()
	var dirs [2]*Dir
	for i := range dirs {
		dir, err := CreatePrivate(t.TempDir(), "users")
		if err != nil {
			t.Fatal(err)
		}
		defer dir.Close()
		if err := dir.AddUsers(name, "root"); err != nil {
			t.Fatal(err)
		}
		dirs[i] = dir
	}
	for i, dir := range dirs {
		u, err := user.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		if g, err := user.LookupGroupId(u.Gid); err != nil || g.Name != name {
			t.Errorf("the group is %v, %v", g, err)
		}
		undone, err := dir.Close()
		if err != nil || len(undone) != 2 {
			t.Errorf("closing the directory %d: %v, %v", i, undone, err)
		}
	}
	if _, err := user.Lookup(name); err == nil {
		t.Errorf("the user %s is still there", name)
	}
	if diff := cmp.Diff(before, files()); diff != "" {
		t.Errorf("the accounts (-before +after):\n%s", diff)
	}
}
