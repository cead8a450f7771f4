// SPDX-License-Identifier: Apache-2.0

package child_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
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
	var fs unix.Statfs_t
	overlay := unix.Statfs("/proc/self/exe", &fs) == nil && fs.Type == unix.OVERLAYFS_SUPER_MAGIC
	if overlay || self.Dev != temp.Dev || int(self.Uid) != os.Getuid() {
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

// TestSpawnAsInImage looks whether SpawnAs leaves an executable alone that is an
// image's: by a link the kernel would copy it to the upper layer of the overlay, and
// it would be one that was dropped in the container.
func TestSpawnAsInImage(t *testing.T) {
	const stage, folder = "CHILD_TEST_IMAGE", "CHILD_TEST_IMAGE_FOLDER"
	dir := os.Getenv(folder)
	merged := filepath.Join(dir, "merged")
	again := func(program string, env ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestSpawnAsInImage$", "-test.v")
		cmd.Env = append(os.Environ(), env...)
		return cmd
	}
	run := func(cmd *exec.Cmd) {
		t.Helper()
		out, err := cmd.CombinedOutput()
		if bytes.Contains(out, []byte("--- SKIP")) {
			t.Skipf("%s", out)
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	switch os.Getenv(stage) {
	case "mount": // in mounts of its own
		options := fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", dir)
		err := errors.Join(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), unix.Mount("overlay", merged, "overlay", 0, options))
		if err != nil {
			t.Skipf("no overlay can be mounted here: %v", err)
		}
		defer unix.Unmount(merged, unix.MNT_DETACH)
		run(again(filepath.Join(merged, "image.test"), stage+"=spawn", "TMPDIR="+filepath.Join(merged, "tmp")))
		return
	case "spawn": // by the executable of the image
		enough, err := child.Reap()
		if err != nil {
			t.Fatal(err)
		}
		defer enough()
		c, err := child.Start(t.Context(), child.Spec{Action: "test.spawns.inode"})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Go(child.Setup{}); err != nil {
			t.Fatal(err)
		}
		if res := c.Wait(t.Context()); len(res.Log) != 1 {
			t.Fatalf("got %v (%v)", res.Log, res.Err)
		}
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("mounting an overlay needs root")
	}
	dir = t.TempDir()
	exe, err := os.ReadFile("/proc/self/exe")
	for _, name := range []string{"lower/tmp", "upper", "work", "merged"} {
		err = errors.Join(err, os.MkdirAll(filepath.Join(dir, name), 0o755))
	}
	if err := errors.Join(err, os.WriteFile(filepath.Join(dir, "lower", "image.test"), exe, 0o755)); err != nil {
		t.Fatal(err)
	}
	cmd := again("/proc/self/exe", stage+"=mount", folder+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	run(cmd)
	upper, err := os.ReadDir(filepath.Join(dir, "upper"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range upper {
		if e.Name() == "image.test" {
			t.Error("the executable was copied to the upper layer")
		}
	}
}
