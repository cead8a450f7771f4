// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package hermetic

import (
	"errors"
	"syscall"
)

// Prepare returns an error: there are no mount namespaces.
func Prepare(*syscall.SysProcAttr, string, Options) ([]string, error) {
	return nil, errors.New("folders that vanish need Linux")
}

// AddAddresses returns an error: there are no network namespaces.
func AddAddresses([]Address) error { return errors.New("network namespaces need Linux") }

func prepare(string) {}
