// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"bytes"
	"encoding/binary"
	"runtime"
)

// Waiting returns a program that waits until it is killed: an ELF file of some
// 150 bytes, so that a process that just has to be there costs next to nothing.
// At its start it closes descriptor 3, which says that it runs.
func Waiting() []byte {
	machine := uint16(62) // EM_X86_64
	code := []byte{
		0xbf, 3, 0, 0, 0, // mov edi, 3
		0xb8, 3, 0, 0, 0, // mov eax, SYS_close
		0x0f, 0x05, // syscall
		0xb8, 34, 0, 0, 0, // mov eax, SYS_pause
		0x0f, 0x05, // syscall
		0xeb, 0xf7, // jmp to the call of pause
	}
	if runtime.GOARCH == "arm64" {
		machine = 183 // EM_AARCH64
		code = nil
		for _, instruction := range []uint32{
			0xd2800060,                                     // mov x0, 3
			0xd2800728,                                     // mov x8, SYS_close
			0xd4000001,                                     // svc 0
			0xd2800000, 0xd2800001, 0xd2800002, 0xd2800003, // mov x0 to x3, 0
			0xd2800928, // mov x8, SYS_ppoll
			0xd4000001, // svc 0
			0x17fffffa, // b to the first of them
		} {
			code = binary.LittleEndian.AppendUint32(code, instruction)
		}
	}
	const (
		base   = 0x400000
		header = 64
		entry  = 56
	)
	size := uint64(header + entry + len(code))
	var b bytes.Buffer
	b.Write([]byte{0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	for _, v := range []any{
		uint16(2), machine, uint32(1), // executable
		uint64(base + header + entry), uint64(header), uint64(0), // entry point, program headers, no sections
		uint32(0), uint16(header), uint16(entry), uint16(1), uint16(0), uint16(0), uint16(0),
		uint32(1), uint32(5), uint64(0), uint64(base), uint64(base), size, size, uint64(0x10000), // load it all, to read and execute
	} {
		binary.Write(&b, binary.LittleEndian, v)
	}
	b.Write(code)
	return b.Bytes()
}
