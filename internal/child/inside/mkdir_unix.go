// SPDX-License-Identifier: Apache-2.0

//go:build unix

package inside

import (
	"os"
	"syscall"
)

// mkdirForAll makes a directory like /tmp, unless there is one. No other
// goroutine may make files meanwhile.
func mkdirForAll(dir string) error {
	defer syscall.Umask(syscall.Umask(0))
	return os.Mkdir(dir, 0o777|os.ModeSticky)
}
