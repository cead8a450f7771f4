// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package falco

import "syscall"

func sysProcAttr() *syscall.SysProcAttr { return nil }
