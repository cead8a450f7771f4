// SPDX-License-Identifier: Apache-2.0

package child_test

import (
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/child"
)

func init() {
	events.RegisterWithName(func(h events.Helper) error {
		var st unix.Stat_t
		if err := unix.Stat("/proc/self/exe", &st); err != nil {
			return err
		}
		h.Log().WithField("inode", st.Ino).Info("me")
		return nil
	}, "test.inode")
	events.RegisterWithName(func(h events.Helper) error { return h.SpawnAs("linked", "test.inode") }, "test.spawns.inode")
}

// TestSpawnAsLinks looks whether SpawnAs executes this very file where it can be
// linked, in folders of the process's own too, and does not copy it.
func TestSpawnAsLinks(t *testing.T) {
	var self, temp unix.Stat_t
	if err := unix.Stat("/proc/self/exe", &self); err != nil {
		t.Fatal(err)
	}
	if err := unix.Stat(os.TempDir(), &temp); err != nil {
		t.Fatal(err)
	}
	if self.Dev != temp.Dev || int(self.Uid) != os.Getuid() {
		t.Skip("this executable cannot be linked in the folder for temporary files")
	}
	for _, hermetic := range []bool{false, true} {
		c, err := child.Start(t.Context(), child.Spec{Action: "test.spawns.inode", Hermetic: hermetic})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Go(child.Setup{}); err != nil {
			t.Fatal(err)
		}
		res := c.Wait(t.Context())
		if len(res.Log) != 1 || res.Log[0].Fields["inode"] != strconv.FormatUint(self.Ino, 10) {
			t.Errorf("hermetic %t: got %v (%v), want inode %d", hermetic, res.Log, res.Err, self.Ino)
		}
	}
}
