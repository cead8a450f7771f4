// SPDX-License-Identifier: Apache-2.0

//go:build unix

package journal

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// lock takes the lock on an open file, unless another open of it has it. The
// lock belongs to the open file and goes when the last descriptor is closed.
func lock(f *os.File) (bool, error) {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// own tells whether a file or directory belongs to this user and no other may
// write to it: what it says is then ours to do. A symbolic link is not.
func own(path string) bool {
	info, err := os.Lstat(path)
	if err != nil {
		return false
	}
	uid, _ := owner(info)
	return uid == os.Geteuid() && info.Mode()&(fs.ModeSymlink|0o022) == 0
}

func owner(info fs.FileInfo) (uid, gid int) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return -1, -1
	}
	return int(st.Uid), int(st.Gid)
}
