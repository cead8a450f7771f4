// SPDX-License-Identifier: Apache-2.0

package hermetic

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// kept are folders of the root directory that stay the machine's.
var kept = []string{"/proc", "/sys", "/run"}

// coverRoot makes the whole root directory one overlay, so that files can be
// linked and renamed from any folder to any other, as they can outside. What
// other mounts hold is covered by overlays of its own. It needs root; when it
// fails, nothing has changed.
func coverRoot(work string, mounts []mountPoint) (err error) {
	cwd, cwdErr := os.Getwd()
	keep, err := unix.Open(work, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening %s: %w", work, err)
	}
	defer unix.Close(keep)
	root, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening the root directory: %w", err)
	}
	defer unix.Close(root)
	// A copy of the program is a link to what the process executes; where none
	// can be made, as between two file systems, a mount does.
	program := filepath.Join(work, Executable)
	mounted := false
	if unix.Access(program, unix.X_OK) != nil {
		if f, err := os.OpenFile(program, os.O_CREATE|os.O_WRONLY, 0o755); err == nil {
			f.Close()
			mounted = true
		}
	}

	// What is written goes to a tmpfs that no path leads to in the end.
	if err := unix.Mount("falcotest", work, "tmpfs", unix.MS_NOATIME, "mode=700"); err != nil {
		return fmt.Errorf("mounting a tmpfs: %w", err)
	}
	upper, err := unix.Open(work, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		unix.Unmount(work, unix.MNT_DETACH)
		return fmt.Errorf("opening a tmpfs: %w", err)
	}
	defer unix.Close(upper)
	defer func() {
		if err != nil {
			unix.Unmount(work, unix.MNT_DETACH)
		}
	}()
	whole := target{path: "/", fd: root, mountPoint: mountPoint{path: "/"}}
	top := filepath.Join(work, "root")
	if err := os.Mkdir(top, 0o755); err != nil {
		return err
	}
	whole.path = top
	if err := whole.mount(fdPath(upper), "root-overlay", true); err != nil {
		return fmt.Errorf("covering the root directory: %w", err)
	}
	var list []string
	for i, t := range rootTargets(mounts) {
		defer unix.Close(t.fd)
		path := t.path
		t.path = top + path
		err := t.mount(fdPath(upper), strconv.Itoa(i), true)
		if err != nil && t.how == overlay {
			t.how = bind // of some file systems overlays cannot be made
			err = t.mount("", "", true)
		}
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
			continue // it is below what is kept out
		}
		if err != nil {
			return fmt.Errorf("covering %s: %w", path, err)
		}
		sign := "+"
		if t.how == bind {
			sign = "-"
		}
		list = append(list, sign+path)
	}
	// Not what is mounted on it, which is the new root directory itself.
	if err := unix.Mount(fdPath(keep), top+work, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("keeping %s: %w", work, err)
	}
	if mounted {
		_ = unix.Mount("/proc/self/exe", top+program, "", unix.MS_BIND, "") // else it is copied
	}
	// The new root takes the place of the old one, which goes.
	if err := os.Chdir(top); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		if cwdErr == nil {
			os.Chdir(cwd)
		}
		return fmt.Errorf("making the overlay the root directory: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("letting go of the old root directory: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	if cwdErr == nil {
		if err := os.Chdir(cwd); err != nil {
			return fmt.Errorf("going back to the working directory: %w", err)
		}
	}
	covered = append(append([]string{"+/"}, list...), "-"+work)
	return nil
}

// rootTargets returns what to mount below the new root directory, those above
// before those below, and opens each.
func rootTargets(mounts []mountPoint) []target {
	var targets []target
	for _, m := range mounts {
		if m.path == "/" {
			continue
		}
		inside := slices.ContainsFunc(kept, func(dir string) bool { return contains(dir, m.path) && dir != m.path })
		if inside {
			continue // it comes with the folder
		}
		fd, err := unix.Open(m.path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		var st unix.Stat_t
		if unix.Fstat(fd, &st) != nil {
			unix.Close(fd)
			continue
		}
		t := target{path: m.path, fd: fd, mountPoint: m}
		switch mode := st.Mode & unix.S_IFMT; {
		case slices.Contains(kept, m.path):
			t.how, t.deep = bind, true
		case m.path == "/dev/shm" && mode == unix.S_IFDIR:
			t.how = empty
		case mode == unix.S_IFREG && st.Size <= 1<<20:
			t.how = file
		case mode != unix.S_IFDIR || slices.Contains(pseudo, m.fstype):
			t.how = bind
		}
		targets = append(targets, t)
	}
	for _, dir := range kept { // one that is no mount is the machine's all the same
		if slices.ContainsFunc(targets, func(t target) bool { return t.path == dir }) {
			continue
		}
		if fd, err := unix.Open(dir, unix.O_PATH|unix.O_NOFOLLOW|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err == nil {
			targets = append(targets, target{path: dir, fd: fd, how: bind, deep: true})
		}
	}
	slices.SortStableFunc(targets, func(a, b target) int { return comparePaths(a.path, b.path) })
	return targets
}
