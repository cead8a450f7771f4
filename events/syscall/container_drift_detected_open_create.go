// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"os"
	"path/filepath"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(ContainerDriftDetectedOpenCreate, events.WithDisabled(),
	events.WithContainer(events.Container{}))

// ContainerDriftDetectedOpenCreate creates an executable file in a container.
//
// Rule: an open in a container that creates a file with a bit such as S_IXUSR
// (evt.is_open_exec). Needs: a container. The file is its own and is no program.
//
// ATT&CK: T1059, command and scripting interpreter.
func ContainerDriftDetectedOpenCreate(h events.Helper) error {
	dir, err := tempDir(h)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "payload"), []byte("not a program\n"), 0o755)
}
