// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"fmt"
	"os"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

// openTerminal makes a pseudo terminal, closed when the action completes.
func openTerminal(h events.Helper) (*os.File, error) {
	master, terminal, err := pty.Open()
	if err != nil {
		return nil, noTerminal(err)
	}
	h.Cleanup(func() { terminal.Close(); master.Close() }, "close", terminal.Name())
	return terminal, nil
}

func noTerminal(err error) error {
	return &events.ErrSkipped{Reason: fmt.Sprintf("no pseudo terminal: %v", err)}
}

// controlling keeps both ends of this process's controlling terminal open until
// the process ends: closing them earlier would hang it up.
var controlling [2]*os.File //lint:ignore U1000 it is there to be kept

// takeTerminal makes this process the leader of a session whose controlling
// terminal is a new pseudo terminal; its children inherit it. Call it in a
// spawned process.
func takeTerminal() error {
	master, terminal, err := pty.Open()
	if err != nil {
		return noTerminal(err)
	}
	controlling = [...]*os.File{master, terminal}
	if sid, err := unix.Getsid(0); err != nil || sid != os.Getpid() {
		if _, err := unix.Setsid(); err != nil {
			return fmt.Errorf("starting a session: %w", err)
		}
	}
	if err := unix.IoctlSetInt(int(terminal.Fd()), unix.TIOCSCTTY, 0); err != nil {
		return fmt.Errorf("making %s the controlling terminal: %w", terminal.Name(), err)
	}
	return nil
}
