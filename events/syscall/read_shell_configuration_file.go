// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(ReadShellConfigurationFile, events.WithDisabled())

// ReadShellConfigurationFile reads a .bashrc, to learn how a user works and
// what passwords are set there.
//
// Rule: open_read of a file with one of shell_config_filenames, by a program
// that is no shell. Needs: nothing. The file is its own, in a directory of its
// own.
//
// ATT&CK: T1546.004, Unix shell configuration modification.
func ReadShellConfigurationFile(h events.Helper) error {
	file, err := tempFile(h, ".bashrc", "export TOKEN=none\n")
	if err != nil {
		return err
	}
	return readByte(file)
}
