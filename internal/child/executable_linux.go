// SPDX-License-Identifier: Apache-2.0

package child

import (
	"os"
	"os/exec"
	"syscall"
)

const self = "/proc/self/exe"

// executable returns a path of the running executable that gives the process
// its own name, or /proc/self/exe where the file is no longer there.
func executable() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return self, nil
	}
	at, err1 := os.Stat(path)
	is, err2 := os.Stat(self)
	if err1 != nil || err2 != nil || !os.SameFile(at, is) {
		return self, nil
	}
	return path, nil
}

func newSession(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
}
