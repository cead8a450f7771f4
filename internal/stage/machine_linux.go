// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"encoding/binary"
	"runtime"
)

// code is a program in the machine's own language, of system calls and what decides
// between them: an ELF file of some hundred bytes. A process that has little to do
// costs next to nothing that way, where this executable takes milliseconds to begin.
//
// The words are those of amd64 (Intel's manual, volume 2) and arm64 (Arm's A64
// instruction set); what a program says is the same on both.
type code struct {
	data  []byte // what it knows, in the file before the instructions
	text  []byte
	jumps []jump
	marks map[string]int // where in text a label is
}

// jump is an instruction that goes on at a label.
type jump struct {
	at    int // where in text it is
	label string
	word  uint32 // on arm64: the instruction, but for the distance
	bits  int    // of the distance
	shift int
}

// The program's file is in memory twice: to be executed, and to be written to.
const (
	textBase    = 0x400000
	dataBase    = 0x600000
	headers     = 64 + 3*56
	segmentSize = 0x10000 // of which addresses are multiples: the largest pages of arm64
)

// HasMachineCode tells whether this package knows the machine's language.
const HasMachineCode = runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64"

// address is of something in the program's memory.
type address uint64

// bytes adds data and returns where it is.
func (c *code) bytes(data []byte) address {
	for len(c.data)%8 != 0 {
		c.data = append(c.data, 0)
	}
	at := address(dataBase + headers + len(c.data))
	c.data = append(c.data, data...)
	return at
}

// space adds zeros.
func (c *code) space(n int) address { return c.bytes(make([]byte, n)) }

// cstring adds a text as C has it.
func (c *code) cstring(s string) address { return c.bytes(append([]byte(s), 0)) }

// cstrings adds a list of texts that ends with a null pointer.
func (c *code) cstrings(list []string) address {
	var pointers []byte
	for _, s := range list {
		pointers = binary.LittleEndian.AppendUint64(pointers, uint64(c.cstring(s)))
	}
	return c.bytes(append(pointers, make([]byte, 8)...))
}

// loaded is an argument: the 64 bits that are at an address by then.
type loaded address

// call makes a system call. Arguments are numbers, addresses, or loaded.
func (c *code) call(number uintptr, args ...any) {
	for i, arg := range args {
		c.argument(i, arg)
	}
	if runtime.GOARCH == "arm64" {
		c.set(8, uint64(number))
		c.word(0xd4000001) // svc 0
		return
	}
	c.text = append(c.text, 0xb8) // mov eax, number
	c.text = binary.LittleEndian.AppendUint32(c.text, uint32(number))
	c.text = append(c.text, 0x0f, 0x05) // syscall
}

func (c *code) argument(i int, arg any) {
	value, load := uint64(0), false
	switch arg := arg.(type) {
	case int:
		value = uint64(arg)
	case uint64:
		value = arg
	case address:
		value = uint64(arg)
	case loaded:
		value, load = uint64(arg), true
	default:
		panic("stage: no argument of a system call")
	}
	if runtime.GOARCH == "arm64" {
		c.set(i, value)
		if load {
			c.word(0xf9400000 | uint32(i)<<5 | uint32(i)) // ldr x, [x]
		}
		return
	}
	// mov rdi, rsi, rdx, r10, r8 or r9, value
	c.text = append(c.text, [...]string{"\x48\xbf", "\x48\xbe", "\x48\xba", "\x49\xba", "\x49\xb8", "\x49\xb9"}[i]...)
	c.text = binary.LittleEndian.AppendUint64(c.text, value)
	if load {
		// mov rdi, [rdi] and so on
		c.text = append(c.text, [...]string{"\x48\x8b\x3f", "\x48\x8b\x36", "\x48\x8b\x12", "\x4d\x8b\x12", "\x4d\x8b\x00", "\x4d\x8b\x09"}[i]...)
	}
}

// store puts the result of the last call at an address, as 32 bits.
func (c *code) store(at address) {
	if runtime.GOARCH == "arm64" {
		c.set(9, uint64(at))
		c.word(0xb9000120) // str w0, [x9]
		return
	}
	c.text = append(c.text, 0x48, 0xb9) // mov rcx, at
	c.text = binary.LittleEndian.AppendUint64(c.text, uint64(at))
	c.text = append(c.text, 0x89, 0x01) // mov [rcx], eax
}

// label is where jumps to it go on.
func (c *code) label(name string) {
	if c.marks == nil {
		c.marks = make(map[string]int)
	}
	c.marks[name] = len(c.text)
}

// jump goes on at a label, ifZero if the result of the last call is 0, ifNegative if
// it is an error.
func (c *code) jump(label string) {
	c.branch(label, []byte{0xe9}, 0x14000000, 26, 0) // jmp; b
}

func (c *code) ifZero(label string) {
	c.branch(label, []byte{0x48, 0x85, 0xc0, 0x0f, 0x84}, 0xb4000000, 19, 5) // test rax, rax; jz; cbz x0
}

func (c *code) ifNegative(label string) {
	c.branch(label, []byte{0x48, 0x85, 0xc0, 0x0f, 0x88}, 0xb7f80000, 14, 5) // test rax, rax; js; tbnz x0, 63
}

func (c *code) branch(label string, amd64 []byte, arm64 uint32, bits, shift int) {
	if runtime.GOARCH == "arm64" {
		c.jumps = append(c.jumps, jump{len(c.text), label, arm64, bits, shift})
		c.word(arm64)
		return
	}
	c.text = append(c.text, amd64...)
	c.jumps = append(c.jumps, jump{at: len(c.text), label: label})
	c.text = append(c.text, 0, 0, 0, 0)
}

// set puts a number into a register of arm64.
func (c *code) set(register int, value uint64) {
	c.word(0xd2800000 | uint32(value&0xffff)<<5 | uint32(register)) // movz
	for i := 1; i < 4; i++ {
		if part := uint32(value >> (16 * i) & 0xffff); part != 0 {
			c.word(0xf2800000 | uint32(i)<<21 | part<<5 | uint32(register)) // movk
		}
	}
}

func (c *code) word(w uint32) { c.text = binary.LittleEndian.AppendUint32(c.text, w) }

// file is the executable; see elf(5).
func (c *code) file() []byte {
	for _, j := range c.jumps {
		to := c.marks[j.label]
		if runtime.GOARCH == "arm64" {
			distance := uint32((to-j.at)/4) & (1<<j.bits - 1)
			binary.LittleEndian.PutUint32(c.text[j.at:], j.word|distance<<j.shift)
			continue
		}
		binary.LittleEndian.PutUint32(c.text[j.at:], uint32(to-j.at-4))
	}
	for len(c.data)%8 != 0 {
		c.data = append(c.data, 0)
	}
	machine := uint16(62) // EM_X86_64
	if runtime.GOARCH == "arm64" {
		machine = 183 // EM_AARCH64
	}
	entry := headers + len(c.data)
	size := uint64(entry + len(c.text))
	const (
		load, stack       = 1, 0x6474e551 // PT_LOAD, PT_GNU_STACK
		execute, write, r = 1, 2, 4
	)
	b := make([]byte, 0, size)
	b = append(b, 0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	u16 := func(values ...uint16) {
		for _, v := range values {
			b = binary.LittleEndian.AppendUint16(b, v)
		}
	}
	u32 := func(values ...uint32) {
		for _, v := range values {
			b = binary.LittleEndian.AppendUint32(b, v)
		}
	}
	u64 := func(values ...uint64) {
		for _, v := range values {
			b = binary.LittleEndian.AppendUint64(b, v)
		}
	}
	u16(2, machine) // ET_EXEC
	u32(1)
	u64(textBase+uint64(entry), 64, 0) // where it begins, where the headers of segments are, no sections
	u32(0)
	u16(64, 56, 3, 0, 0, 0)
	for _, segment := range []struct {
		kind, flags uint32
		at, size    uint64
	}{{load, r | execute, textBase, size}, {load, r | write, dataBase, size}, {stack, r | write, 0, 0}} {
		u32(segment.kind, segment.flags)
		u64(0, segment.at, segment.at, segment.size, segment.size, segmentSize)
	}
	return append(append(b, c.data...), c.text...)
}
