// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package child

import (
	"errors"
	"os"
)

// copyBytes copies this executable to path.
func copyBytes(path string) error {
	own, err := os.Executable()
	if err != nil {
		return err
	}
	from, err := os.Open(own)
	if err != nil {
		return err
	}
	defer from.Close()
	return copyByBytes(from, path)
}

func linkExecutable(path string) error {
	own, err := os.Executable()
	if err != nil {
		return err
	}
	return os.Link(own, path)
}

func cloneFile(_, _ *os.File) error { return errors.ErrUnsupported }
