// SPDX-License-Identifier: Apache-2.0

package child_test

import (
	"errors"
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

// TestSpawnAsCopiesOnce runs actions where this executable cannot be linked, since
// the folder for temporary files is in another file system: all share one copy,
// which goes with the run.
func TestSpawnAsCopiesOnce(t *testing.T) {
	temp, err := os.MkdirTemp("/dev/shm", "falcotest-copy-")
	if err != nil {
		t.Skipf("there is no other file system to write to: %v", err)
	}
	defer os.RemoveAll(temp)
	var self, there unix.Stat_t
	var fs unix.Statfs_t
	if err := errors.Join(unix.Stat("/proc/self/exe", &self), unix.Stat(temp, &there), unix.Statfs(temp, &fs)); err != nil {
		t.Fatal(err)
	}
	if self.Dev == there.Dev || fs.Flags&unix.ST_NOEXEC != 0 || fs.Bavail*uint64(fs.Bsize) < 4*uint64(self.Size) {
		t.Skip("/dev/shm is no other file system that programs can be executed in")
	}
	t.Setenv("TMPDIR", temp)
	enough, err := child.Reap()
	if err != nil {
		t.Fatal(err)
	}
	inodes := map[any]bool{}
	for range 3 {
		c, err := child.Start(t.Context(), child.Spec{Action: "test.spawns.inode"})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Go(child.Setup{}); err != nil {
			t.Fatal(err)
		}
		res := c.Wait(t.Context())
		if len(res.Log) != 1 {
			t.Fatalf("got %v (%v)", res.Log, res.Err)
		}
		inodes[res.Log[0].Fields["inode"]] = true
	}
	if len(inodes) != 1 {
		t.Errorf("%d copies were made, want 1", len(inodes))
	}
	enough()
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
