// SPDX-License-Identifier: Apache-2.0

// Package limits tells, before any action runs, what of this process's limits
// and of its folder for temporary files keeps actions from running, with the
// remedy: an action that meets such a limit half-way fails in words that say
// nothing of it.
//
// It imports nothing of this module. Data enters from the kernel, and leaves as
// a number of actions or an error.
package limits

// What running an action takes, at most; measured with the actions of
// events/syscall on two processors.
const (
	filesOfAction   = 12 // descriptors of this process
	filesBeside     = 12 // that this process opens for all actions together
	filesOfProcess  = 32 // descriptors that an action's process may open
	threadsOfAction = 40 // threads of its processes, and of the tracer
	threadsBeside   = 16 // threads that this process starts meanwhile
	addressSpace    = 900 << 20
	room            = 4 << 20 // bytes for temporary files, without copies of the executable
	copies          = 2       // of the executable: one that actions link, and one of an action's own
)
