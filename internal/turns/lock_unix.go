// SPDX-License-Identifier: Apache-2.0

//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package turns

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// openLock opens the lock's file for all users of the machine. It is first
// opened without O_CREAT, since Linux refuses that flag for another user's file
// in a sticky folder (fs.protected_regular).
func openLock(path string) (*os.File, error) {
	var denied error
	for range 100 {
		f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW, 0)
		if err == nil {
			return f, nil
		}
		if errors.Is(err, os.ErrPermission) {
			denied = err // perhaps just until its creator has allowed it
			continue
		}
		if !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o666)
		if err == nil {
			// Whatever the umask says: other users must be able to lock it.
			if err := f.Chmod(0o666); err != nil {
				f.Close()
				return nil, err
			}
			return f, nil
		}
		if !errors.Is(err, os.ErrExist) {
			return nil, err
		}
		// It appeared meanwhile; and may vanish again, as its holder ends.
	}
	if denied != nil {
		return nil, denied
	}
	return nil, fmt.Errorf("opening %s: it keeps appearing and vanishing", path)
}

func lock(f *os.File) (bool, error) {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EWOULDBLOCK):
			return false, nil
		case errors.Is(err, unix.EINTR):
		default:
			return false, fmt.Errorf("locking %s: %w", f.Name(), err)
		}
	}
}

// remove unlinks the file while it is still locked, so that nobody can have
// locked it since.
func remove(t *Turn) { os.Remove(t.path) }
