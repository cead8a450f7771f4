// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"syscall"

	"golang.org/x/sys/unix"
)

// chunk is the most that one packet of the socket has.
const chunk = 32 << 10

// A packet begins with a byte that says what it has.
const (
	whole     = iota // a message, or the last part of one
	part             // a part of a message
	started          // the number of a process that was started, as 32 bits
	unstarted        // the error number, as 32 bits, and the name of one that could not be
)

// Pair makes the two ends of a socket for orders and reports. The second is for
// the chain's processes, and inherited by them as [ControlFD].
func Pair() (mine int, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("making a socket for the chain of processes: %w", err)
	}
	defer unix.Close(fds[1])
	if err := unix.Dup3(fds[1], ControlFD, 0); err != nil {
		unix.Close(fds[0])
		return -1, fmt.Errorf("making a socket for the chain of processes: %w", err)
	}
	// What is sent waits in the socket until the process is there to receive it.
	if unix.SetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 8<<20) != nil {
		_ = unix.SetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_SNDBUF, 8<<20)
	}
	return fds[0], nil
}

// Send sends a message.
func Send(fd int, message any) error {
	data, err := json.Marshal(message)
	if err != nil {
		return err
	}
	for {
		next := data[:min(len(data), chunk)]
		data = data[len(next):]
		kind := byte(whole)
		if len(data) > 0 {
			kind = part
		}
		if err := send(fd, append([]byte{kind}, next...)); err != nil {
			return err
		}
		if kind == whole {
			return nil
		}
	}
}

// send sends a packet.
func send(fd int, packet []byte) error {
	if err := retry(func() error { return unix.Sendto(fd, packet, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, nil) }); err != nil {
		return fmt.Errorf("sending to the chain of processes: %w", err)
	}
	return nil
}

// Receive receives a message; at the end it returns io.EOF.
func Receive(fd int, message any) error {
	var data []byte
	buf := make([]byte, chunk+1)
	for {
		n := 0
		err := retry(func() (err error) { n, err = unix.Read(fd, buf); return err })
		switch {
		case err != nil && errors.Is(err, unix.ECONNRESET), err == nil && n == 0:
			return io.EOF
		case err != nil:
			return fmt.Errorf("receiving from the chain of processes: %w", err)
		}
		data = append(data, buf[1:n]...)
		switch {
		case buf[0] == whole:
		case buf[0] == part:
			continue
		case len(data) < 4:
			return errors.New("receiving from the chain of processes: a packet is too short")
		default:
			data = ofProgram(buf[0], data)
		}
		return json.Unmarshal(data, message)
	}
}

// ofProgram is the report that a program of [Launch.Starting] means.
func ofProgram(kind byte, data []byte) []byte {
	number := int32(binary.NativeEndian.Uint32(data))
	r := Report{PID: int(number)}
	if kind == unstarted {
		r = Report{Done: true, Failure: cannotStart(string(data[4:]), syscall.Errno(-number)).Error()}
	}
	b, _ := json.Marshal(r)
	return b
}

func retry(f func() error) error {
	for {
		if err := f(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
