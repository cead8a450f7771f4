// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/procstat"
)

func (op Op) undoSystem() error {
	switch op.Kind {
	case Interface:
		return removeInterface(op.Path)
	case Unmount:
		err := unix.Unmount(op.Path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
			return nil // not mounted
		}
		return err
	case Account:
		return editAccounts(op.Path, "", op.Line)
	case Kill:
		_, err := KillProcess(op.PID, op.Start)
		return err
	}
	return errors.ErrUnsupported
}

// nonblock keeps a pipe from making its opening wait.
const nonblock = unix.O_NONBLOCK | unix.O_NOFOLLOW

// restore writes the file by its descriptor, and follows no link to it: what was
// a folder may be one now, to a file that is not to be changed.
func (op Op) restore() error {
	dir, err := openNoLinks(filepath.Dir(op.Path))
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	name, f := filepath.Base(op.Path), op.File
	// The same inode is written where it still exists: others may hold it.
	const flags = unix.O_WRONLY | unix.O_CLOEXEC | nonblock
	fd, err := unix.Openat(dir, name, flags, 0)
	if errors.Is(err, unix.ENOENT) {
		fd, err = unix.Openat(dir, name, flags|unix.O_CREAT|unix.O_EXCL, uint32(f.Mode.Perm()))
	}
	if err != nil {
		return &fs.PathError{Op: "open", Path: op.Path, Err: err}
	}
	out := os.NewFile(uintptr(fd), op.Path)
	defer out.Close()
	info, err := out.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file any more", op.Path)
	}
	if err := out.Truncate(0); err != nil {
		return err
	}
	if _, err := out.Write(f.Content); err != nil {
		return err
	}
	var errs []error
	if uid, gid := owner(info); f.UID >= 0 && (uid != f.UID || gid != f.GID) {
		errs = append(errs, out.Chown(f.UID, f.GID))
	}
	errs = append(errs, out.Chmod(f.Mode&(fs.ModePerm|fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky)))
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, unix.NsecToTimespec(f.ModTime.UnixNano())}
	return errors.Join(append(errs, unix.UtimesNanoAt(dir, name, times, unix.AT_SYMLINK_NOFOLLOW))...)
}

// openNoLinks opens a directory, for the system calls that take one, if no part
// of its path is a symbolic link.
func openNoLinks(path string) (int, error) {
	const flags = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	dir, err := unix.Open("/", flags, 0)
	for part := range strings.SplitSeq(filepath.Clean(path), "/") {
		if err != nil {
			break
		}
		if part == "" {
			continue
		}
		up := dir
		dir, err = unix.Openat(up, part, flags, 0)
		unix.Close(up)
	}
	if err != nil {
		return -1, &fs.PathError{Op: "open without following links", Path: path, Err: err}
	}
	return dir, nil
}

// StartOf returns when a process started, in clock ticks since boot: with its
// number it names a process for good.
func StartOf(pid int) (uint64, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	st, err := procstat.Parse(data)
	return st.Start, err
}

// KillProcess kills the process of that number that started then, and tells
// whether there was one. Another that has its number since is not hit: the
// handle makes sure that the number is not given to another process between the
// look and the signal.
func KillProcess(pid int, start uint64) (bool, error) {
	signal := func() error { return unix.Kill(pid, unix.SIGKILL) }
	fd, err := unix.PidfdOpen(pid, 0)
	switch {
	case err == nil:
		defer unix.Close(fd)
		signal = func() error { return unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) }
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM): // an old kernel, or a filter of calls
	case errors.Is(err, unix.ESRCH):
		return false, nil
	default:
		return false, err
	}
	if now, err := StartOf(pid); err != nil || now != start {
		return false, nil
	}
	err = signal()
	if errors.Is(err, unix.ESRCH) {
		return false, nil
	}
	return err == nil, err
}

// removeInterface asks the kernel by netlink to remove a network interface.
func removeInterface(name string) error {
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return nil // no interface has such a name
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, ifr); err != nil {
		return nil // there is none
	}
	const length = unix.SizeofNlMsghdr + unix.SizeofIfInfomsg
	msg := make([]byte, length)
	binary.NativeEndian.PutUint32(msg[0:], length)
	binary.NativeEndian.PutUint16(msg[4:], unix.RTM_DELLINK)
	binary.NativeEndian.PutUint16(msg[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	binary.NativeEndian.PutUint32(msg[unix.SizeofNlMsghdr+4:], ifr.Uint32())
	if err := unix.Sendto(fd, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	buf := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, buf, 0)
	if err != nil {
		return err
	}
	if n < unix.SizeofNlMsghdr+4 || binary.NativeEndian.Uint16(buf[4:]) != unix.NLMSG_ERROR {
		return errors.New("netlink gave no answer to the request")
	}
	errno := -int32(binary.NativeEndian.Uint32(buf[unix.SizeofNlMsghdr:]))
	if errno == 0 || unix.Errno(errno) == unix.ENODEV {
		return nil
	}
	return unix.Errno(errno)
}
