// SPDX-License-Identifier: Apache-2.0

//go:build !windows && (!unix || solaris || aix)

package filelock

import (
	"fmt"
	"os"
	"runtime"
)

func try(f *os.File) (bool, error) {
	return false, fmt.Errorf("locking %s: files cannot be locked on %s", f.Name(), runtime.GOOS)
}
