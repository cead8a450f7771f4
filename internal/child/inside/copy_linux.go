// SPDX-License-Identifier: Apache-2.0

package inside

import (
	"os"

	"golang.org/x/sys/unix"
)

const self = "/proc/self/exe"

// CopyBytes copies this executable to path.
func CopyBytes(path string) error {
	from, err := os.Open(self)
	if err != nil {
		return err
	}
	defer from.Close()
	if err := copyByBytes(from, path); err != nil {
		return err
	}
	return openToAll(path)
}

// LinkExecutable makes path another name of this executable. One that is an image's
// is left alone: by a link the kernel copies it to the upper layer of the overlay,
// where rules take it for a program that was dropped in the container.
func LinkExecutable(path string) error {
	var fs unix.Statfs_t
	if unix.Statfs(self, &fs) == nil && fs.Type == unix.OVERLAYFS_SUPER_MAGIC {
		return unix.EXDEV
	}
	// The link shares owner and mode, so it is of no use when the file cannot
	// be executed by everyone.
	info, err := os.Stat(self)
	if err == nil && info.Mode()&0o555 != 0o555 {
		err = os.ErrPermission
	}
	if err == nil {
		err = unix.Linkat(unix.AT_FDCWD, self, unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
	}
	return err
}

// cloneFile copies a file inside the kernel: by sharing its blocks, else by a
// call or two. A call for every few kilobytes would be slow where calls stop for
// a tracer.
func cloneFile(to, from *os.File) error {
	out, in := int(to.Fd()), int(from.Fd())
	err := unix.IoctlFileClone(out, in)
	if err == nil {
		return nil
	}
	for {
		n, err := unix.Sendfile(out, in, nil, 1<<30)
		switch {
		case err == unix.EINTR || err == unix.EAGAIN:
		case err != nil:
			return err
		case n == 0:
			return nil
		}
	}
}
