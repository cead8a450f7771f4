// SPDX-License-Identifier: Apache-2.0

// Package input opens the files that users name: rules, recordings, baselines.
// It imports nothing of this module.
package input

import (
	"errors"
	"io/fs"
	"os"
)

// ErrNotRegular says that a name is not that of a file with an end: a pipe would
// be waited for, and a device read for ever.
var ErrNotRegular = errors.New("it is not a regular file")

// Open opens a regular file for reading, and anything else with an error at
// once. The error is an [*fs.PathError].
func Open(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: ErrNotRegular}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
