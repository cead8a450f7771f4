// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"bytes"
	"encoding/binary"
	"runtime"

	"github.com/falcotest/go-falcotest/events"
)

// exitProgram returns the image of a static program that exits with status 0,
// for actions that drop and execute something: an ELF header, one program
// header, and the machine code of exit_group(0).
func exitProgram() ([]byte, error) {
	var machine uint16
	var code []byte
	switch runtime.GOARCH {
	case "amd64":
		machine = 62 // EM_X86_64
		code = []byte{
			0x31, 0xff, // xor edi, edi
			0xb8, 0xe7, 0x00, 0x00, 0x00, // mov eax, 231 (exit_group)
			0x0f, 0x05, // syscall
		}
	case "arm64":
		machine = 183 // EM_AARCH64
		code = []byte{
			0x00, 0x00, 0x80, 0xd2, // mov x0, #0
			0xc8, 0x0b, 0x80, 0xd2, // mov x8, #94 (exit_group)
			0x01, 0x00, 0x00, 0xd4, // svc #0
		}
	default:
		return nil, &events.ErrSkipped{Reason: "there is no program to drop for " + runtime.GOARCH}
	}
	const base, headers = 0x400000, 64 + 56
	var b bytes.Buffer
	put := func(values ...any) {
		for _, v := range values {
			binary.Write(&b, binary.LittleEndian, v) // a bytes.Buffer takes all
		}
	}
	size := uint64(headers + len(code))
	put([]byte("\x7fELF\x02\x01\x01"), make([]byte, 9), // 64 bits, little endian
		uint16(2), machine, uint32(1), // an executable
		uint64(base+headers), uint64(64), uint64(0), // entry, program headers, no sections
		uint32(0), uint16(64), uint16(56), uint16(1), uint16(0), uint16(0), uint16(0),
		uint32(1), uint32(5), // load, readable and executable
		uint64(0), uint64(base), uint64(base), size, size, uint64(0x1000),
		code)
	return b.Bytes(), nil
}
