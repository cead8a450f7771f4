// SPDX-License-Identifier: Apache-2.0

package child

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// envMounts tells a child to prepare mounts of its own.
const envMounts = "FALCOTEST_MOUNTS"

// overlaid are the folders that a hermetic child sees through an overlay. The
// folder for temporary files is not among them: programs that an action puts
// there would be executed from an overlay's upper layer, which rules ask about.
var overlaid = []string{"/etc", "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/root", "/home", "/var", "/opt", "/boot", "/srv", "/dev"}

// private are the folders that a hermetic child sees empty.
var private = []string{"/dev/shm"}

// isolate gives a process that is about to be started a mount namespace of its
// own. Overlays over folders that belong to root need root: without it, the
// child is left where it is.
func isolate(attr *syscall.SysProcAttr) bool {
	if os.Geteuid() != 0 {
		return false
	}
	attr.Cloneflags |= syscall.CLONE_NEWNS
	return true
}

// prepare is the child's part: it covers the folders that actions write to, so
// that what is written vanishes with this process and its descendants. It
// returns what could not be done, which is no error: actions clean up too.
func prepare() (notes []string) {
	if os.Getenv(envMounts) == "" {
		return nil
	}
	os.Unsetenv(envMounts)
	if err := cover(); err != nil {
		return []string{fmt.Sprintf("the action sees the machine's own folders: %v", err)}
	}
	return nil
}

func cover() (err error) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	wd, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("finding the working folder: %w", err)
	}
	mounts, err := procfs.GetMounts()
	if err != nil {
		return fmt.Errorf("reading the mounts: %w", err)
	}
	// The layers live on a memory file system that no path leads to once the
	// overlays are in place.
	stage := os.Getenv(EnvFolder)
	if err := unix.Mount("falcotest", stage, "tmpfs", unix.MS_NOSUID, "mode=755"); err != nil {
		return fmt.Errorf("mounting a memory file system: %w", err)
	}
	defer func() {
		if e := unix.Unmount(stage, unix.MNT_DETACH); err == nil && e != nil {
			err = fmt.Errorf("hiding the memory file system: %w", e)
		}
	}()
	for i, folder := range overlaid {
		if fi, err := os.Lstat(folder); err != nil || !fi.IsDir() {
			continue // not there, or a link to a folder that is covered
		}
		if err := coverFolder(folder, filepath.Join(stage, fmt.Sprint(i)), mounts); err != nil {
			return fmt.Errorf("covering %s: %w", folder, err)
		}
	}
	for _, folder := range private {
		if fi, err := os.Stat(folder); err != nil || !fi.IsDir() {
			continue
		}
		if err := unix.Mount("falcotest", folder, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777"); err != nil {
			return fmt.Errorf("covering %s: %w", folder, err)
		}
	}
	// The working folder was resolved below the overlays.
	if err := os.Chdir(wd); err != nil {
		return fmt.Errorf("returning to the working folder: %w", err)
	}
	return nil
}

// coverFolder mounts an overlay over a folder and brings back the mounts below
// it, which an overlay does not show.
func coverFolder(folder, stage string, mounts []*procfs.MountInfo) error {
	var below []string
	for _, m := range mounts {
		if strings.HasPrefix(m.MountPoint, folder+"/") && !slices.Contains(private, m.MountPoint) {
			below = append(below, m.MountPoint)
		}
	}
	slices.Sort(below)
	upper, work := filepath.Join(stage, "upper"), filepath.Join(stage, "work")
	for _, d := range []string{upper, work} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	kept := make([]int, len(below))
	for i, point := range below {
		fd, err := unix.OpenTree(unix.AT_FDCWD, point, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
		if err != nil {
			fd = -1 // hidden by another mount, or gone
		}
		kept[i] = fd
	}
	defer func() {
		for _, fd := range kept {
			if fd >= 0 {
				unix.Close(fd)
			}
		}
	}()
	if err := copyAttributes(folder, upper); err != nil {
		return err
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", folder, upper, work)
	if err := unix.Mount("overlay", folder, "overlay", 0, options); err != nil {
		return err
	}
	for i, fd := range kept {
		if fd < 0 {
			continue
		}
		if err := unix.MoveMount(fd, "", unix.AT_FDCWD, below[i], unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("bringing back %s: %w", below[i], err)
		}
	}
	return nil
}

func copyAttributes(from, to string) error {
	var st unix.Stat_t
	if err := unix.Stat(from, &st); err != nil {
		return err
	}
	if err := os.Chown(to, int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	return unix.Chmod(to, st.Mode&0o7777)
}
