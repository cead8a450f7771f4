// SPDX-License-Identifier: Apache-2.0

package falco

import "syscall"

// sysProcAttr lets the process die with the thread that started it, and keeps
// it out of reach of a terminal's Ctrl-C, which is for the tests. The kernel
// drops the former when the executable is set-user-ID or has capabilities.
func sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
