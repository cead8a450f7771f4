// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"errors"
	"os"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(ModifyShellConfigurationFile, events.WithDisabled())

// ModifyShellConfigurationFile appends a command to a .bashrc, which every
// shell of that user would run.
//
// Rule: open_write of a file with one of shell_config_filenames. Needs:
// nothing. The file is its own, in a directory of its own.
//
// ATT&CK: T1546.004, Unix shell configuration modification.
func ModifyShellConfigurationFile(h events.Helper) error {
	file, err := tempFile(h, ".bashrc", "alias ll='ls -l'\n")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString("true\n")
	return errors.Join(err, f.Close())
}
