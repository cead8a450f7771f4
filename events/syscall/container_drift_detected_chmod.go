// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"os"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(ContainerDriftDetectedChmod, events.WithDisabled(),
	events.WithContainer(events.Container{}))

// ContainerDriftDetectedChmod makes a file executable in a container, as one
// does with what one has downloaded.
//
// Rule: chmod in a container that sets a bit such as S_IXUSR. Needs: a
// container. The file is its own and is no program.
//
// ATT&CK: T1059, command and scripting interpreter.
func ContainerDriftDetectedChmod(h events.Helper) error {
	file, err := tempFile(h, "payload", "not a program\n")
	if err != nil {
		return err
	}
	return os.Chmod(file, 0o755)
}
