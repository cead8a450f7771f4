// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"errors"
	"io/fs"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(ReadEnvironmentVariableFromProcFiles, events.WithDisabled(),
	events.WithContainer(events.Container{}))

// ReadEnvironmentVariableFromProcFiles reads the environment of a container's
// first process, where secrets are often kept.
//
// Rule: open_read in a container of a path like /proc/*/environ. Where the
// first process is another user's, it reads its own environment. Needs: a
// container. It reads one byte.
//
// ATT&CK: T1083, file and directory discovery.
func ReadEnvironmentVariableFromProcFiles(h events.Helper) error {
	err := readByte("/proc/1/environ")
	if errors.Is(err, fs.ErrPermission) {
		return readByte("/proc/self/environ")
	}
	return err
}
