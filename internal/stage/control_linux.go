// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// chunk is the most that one packet of the socket has.
const chunk = 32 << 10

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

// Send sends a message. Its parts begin with a byte that says whether more come.
func Send(fd int, message any) error {
	data, err := json.Marshal(message)
	if err != nil {
		return err
	}
	for {
		part := data[:min(len(data), chunk)]
		data = data[len(part):]
		more := byte(0)
		if len(data) > 0 {
			more = 1
		}
		if err := retry(func() error {
			return unix.Sendto(fd, append([]byte{more}, part...), unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, nil)
		}); err != nil {
			return fmt.Errorf("sending to the chain of processes: %w", err)
		}
		if more == 0 {
			return nil
		}
	}
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
		if buf[0] == 0 {
			return json.Unmarshal(data, message)
		}
	}
}

func retry(f func() error) error {
	for {
		if err := f(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
