// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package inside

import (
	"errors"
	"os"
)

// CopyBytes copies this executable to path.
func CopyBytes(path string) error {
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

func LinkExecutable(path string) error {
	own, err := os.Executable()
	if err != nil {
		return err
	}
	return os.Link(own, path)
}

func cloneFile(_, _ *os.File) error { return errors.ErrUnsupported }
