// SPDX-License-Identifier: Apache-2.0

//go:build unix

package input

import "syscall"

// nonblock keeps the opening of a pipe from waiting for who writes to it.
const nonblock = syscall.O_NONBLOCK
