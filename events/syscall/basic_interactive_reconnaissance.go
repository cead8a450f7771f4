// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	std "syscall"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(BasicInteractiveReconnaissance, events.WithDisabled(), events.WithNeeds(events.Pty))

// BasicInteractiveReconnaissance asks who it is at a terminal, as somebody does
// who just got in.
//
// Rule: spawned_process of one of recon_binaries with a controlling terminal,
// which leads its process group. The program is a few bytes of machine code that
// exit, named whoami, which starts a session with a pseudo terminal. Needs: a
// pseudo terminal, and a directory for temporary files that programs may be
// executed from. Nothing is learnt.
//
// ATT&CK: TA0043, reconnaissance.
func BasicInteractiveReconnaissance(h events.Helper) error {
	image, err := exitProgram()
	if err != nil {
		return err
	}
	dir, err := tempDir(h)
	if err != nil {
		return err
	}
	whoami := filepath.Join(dir, "whoami")
	if err := os.WriteFile(whoami, image, 0o755); err != nil {
		return fmt.Errorf("making a program: %w", err)
	}
	terminal, err := openTerminal(h)
	if err != nil {
		return err
	}
	cmd := &exec.Cmd{
		Path: whoami, Args: []string{"whoami"},
		Stdin: terminal, Stdout: terminal, Stderr: terminal,
		// The session's leader leads a process group too. The descriptor is
		// the child's standard input.
		SysProcAttr: &std.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0},
	}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("running a program at a terminal: %w", err)
	}
	return nil
}
