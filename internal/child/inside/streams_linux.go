// SPDX-License-Identifier: Apache-2.0

package inside

import (
	"os"

	"golang.org/x/sys/unix"
)

// takeOver moves standard input and output out of the way of the action and of
// all that it executes.
func takeOver() (in, out *os.File, err error) {
	fds := [2]int{}
	for i := range fds {
		fds[i], err = unix.FcntlInt(uintptr(i), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			return nil, nil, err
		}
	}
	null, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	defer unix.Close(null)
	if err := unix.Dup3(null, 0, 0); err != nil {
		return nil, nil, err
	}
	if err := unix.Dup3(2, 1, 0); err != nil {
		return nil, nil, err
	}
	// Non-blocking, so that reading does not hold a thread that an action may
	// have to find gone, such as one that must not exist for setns.
	for _, fd := range fds {
		if err := unix.SetNonblock(fd, true); err != nil {
			return nil, nil, err
		}
	}
	return os.NewFile(uintptr(fds[0]), "parent"), os.NewFile(uintptr(fds[1]), "parent"), nil
}

// adoptOrphans makes this process the parent of all below it that lose theirs,
// so that a daemon does not escape.
func adoptOrphans() {
	unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
}
