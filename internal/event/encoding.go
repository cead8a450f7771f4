// SPDX-License-Identifier: Apache-2.0

package event

// Falco's driver translates the flags of system calls to an encoding of its own
// (PPM_… in its sources), which evt.rawarg shows. The names in the table belong
// to it. These are the flags that more than the table knows.

// Flags of descriptors and open, in Falco's encoding.
const (
	ORdonly    = 1 << 0
	OWronly    = 1 << 1
	OCreat     = 1 << 2
	OAppend    = 1 << 3
	ODsync     = 1 << 4
	OExcl      = 1 << 5
	ONonblock  = 1 << 6
	OSync      = 1 << 7
	OTrunc     = 1 << 8
	ODirect    = 1 << 9
	ODirectory = 1 << 10
	OLargefile = 1 << 11
	OCloexec   = 1 << 12
	OTmpfile   = 1 << 13
	OFCreated  = 1 << 14 // the call created the file
	UpperLayer = 1 << 15 // the file is in the upper layer of an overlay
	LowerLayer = 1 << 16

	CreatUpperLayer = 1 << 0 // the same in creat's creat_flags
	CreatLowerLayer = 1 << 1
)

// Flags of clone, in Falco's encoding.
const (
	CloneFiles      = 1 << 0
	CloneNewPID     = 1 << 6
	CloneParent     = 1 << 8
	CloneThread     = 1 << 13
	CloneVM         = 1 << 15
	CloneVfork      = 1 << 27
	CloneChildPIDNS = 1 << 29 // the child is not in the initial pid namespace
)
