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
		return nil, &events.ErrSkipped{Reason: fmt.Sprintf("no pseudo terminal: %v", err)}
	}
	h.Cleanup(func() { terminal.Close(); master.Close() }, "close", terminal.Name())
	return terminal, nil
}

// takeTerminal makes this process the leader of a session whose controlling
// terminal is a new pseudo terminal; its children inherit it. Call it in a
// spawned process.
func takeTerminal(h events.Helper) error {
	terminal, err := openTerminal(h)
	if err != nil {
		return err
	}
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
