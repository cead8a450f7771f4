// SPDX-License-Identifier: Apache-2.0

package child_test

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// leaveOthersMounts executes this program again in mounts of its own: those
// that containers and other tests make on this machine meanwhile do not show
// there, and those that leak from below this process do. Where the kernel does
// not let this user make a mount namespace, it makes no mounts either.
func leaveOthersMounts() {
	const env = "CHILD_TEST_OWN_MOUNTS"
	if os.Getenv(env) != "" {
		os.Unsetenv(env)
		return
	}
	runtime.LockOSThread() // the namespace is the thread's, until it executes
	defer runtime.UnlockOSThread()
	if unix.Unshare(unix.CLONE_NEWNS) != nil {
		return
	}
	// Private ends what comes from outside; shared lets in what comes from below.
	for _, flag := range []uintptr{unix.MS_PRIVATE, unix.MS_SHARED} {
		if err := unix.Mount("", "/", "", unix.MS_REC|flag, ""); err != nil {
			panic(err)
		}
	}
	panic(unix.Exec("/proc/self/exe", os.Args, append(os.Environ(), env+"=1")))
}
