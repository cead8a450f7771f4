// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package child

import (
	"errors"
	"os"
)

// copyExecutable puts this executable at path: by a hard link, else copied.
func copyExecutable(path string) error {
	own, err := os.Executable()
	if err != nil {
		return err
	}
	if os.Link(own, path) == nil {
		return nil
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
