// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package hermetic

import (
	"errors"
	"net/netip"
	"os/exec"
)

// Prepare returns an error: there are no mount namespaces.
func Prepare(*exec.Cmd, string, Options) ([]string, error) {
	return nil, errors.New("folders that vanish need Linux")
}

// AddAddresses returns an error: there are no network namespaces.
func AddAddresses([]netip.Addr) error { return errors.New("network namespaces need Linux") }

func prepare(string) {}
