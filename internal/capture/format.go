// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"errors"
	"fmt"
)

// A recording is a sequence of blocks: type and total length, 32 bits each, what
// the type says, padding to 4 bytes, and the total length again. All numbers are
// in the byte order of the machine that wrote it, which the section header tells.
const (
	blockSection    = 0x0A0D0D0A
	blockMachine    = 0x201
	blockProcessV1  = 0x202
	blockFDs        = 0x203
	blockEvent      = 0x204
	blockInterfaces = 0x205
	blockUsers      = 0x206
	blockProcessV2  = 0x207
	blockEventFlags = 0x208
	blockProcessV3  = 0x209
	blockProcessV4  = 0x210
	blockProcessV5  = 0x211
	blockProcessV6  = 0x212
	blockProcessV7  = 0x213
	blockProcessV8  = 0x214
	blockProcessV9  = 0x215 // entries begin with their length from here on

	blockEventV2           = 0x216 // with the number of parameters
	blockEventFlagsV2      = 0x217
	blockFDsV2             = 0x218 // entries begin with their length
	blockInterfacesV2      = 0x219 // likewise
	blockUsersV2           = 0x220 // likewise
	blockEventV2Large      = 0x221
	blockEventFlagsV2Large = 0x222

	// What the libraries wrote before their first release.
	blockMachineInt    = 0x8002ABCD
	blockProcessV1Int  = 0x8000ABCD
	blockProcessV2Int  = 0x8013ABCD
	blockProcessV3Int  = 0x8014ABCD
	blockFDsInt        = 0x8001ABCD
	blockEventInt      = 0x8010ABCD
	blockInterfacesInt = 0x8011ABCD
	blockUsersInt      = 0x8012ABCD
)

const (
	byteOrderMagic = 0x1A2B3C4D
	majorVersion   = 1
	minorVersion   = 2

	blockOverhead   = 12 // header and trailer
	eventHeaderLen  = 26 // time, thread, length, code, number of parameters
	maxParams       = 32
	maxEventBlock   = 16 << 20  // of LARGE events; the others end at 64 KiB
	maxSkippedBlock = 256 << 20 // of a type that is not known
	maxTableBlock   = 1 << 30
	maxThreads      = 131072 // as many as Falco keeps
	maxFDs          = 65536  // of a process
	maxAccounts     = 1 << 20
	maxString       = 1 << 16
)

// The reasons for which a recording cannot be read, for errors.Is.
var (
	ErrNotCapture = errors.New("not a recording: it does not begin with a section header (0A 0D 0D 0A)")
	ErrByteOrder  = errors.New("recorded on a machine of the other byte order; Falco cannot read it either")
	ErrVersion    = errors.New("recorded in a newer version of the format")
	ErrTruncated  = errors.New("the recording ends in the middle: it was cut off, or whoever wrote it did not end cleanly")
	ErrEmpty      = errors.New("the recording has no events")
	ErrBomb       = errors.New("the recording expands more than any recording does when it is decompressed")
)

// Error says where and why a recording cannot be read further. What was read
// until there is a part, and nothing can be concluded of the whole.
type Error struct {
	Offset int64  // in the recording, decompressed
	Events uint64 // how many events came before
	Err    error
}

// Error says all three.
func (e *Error) Error() string {
	return fmt.Sprintf("offset %d, after %d events: %v", e.Offset, e.Events, e.Err)
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }
