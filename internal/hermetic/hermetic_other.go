// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package hermetic

import (
	"errors"
	"os/exec"
)

// Prepare returns an error: there are no mount namespaces.
func Prepare(*exec.Cmd, string) ([]string, error) {
	return nil, errors.New("folders that vanish need Linux")
}

func prepare(string) {}
