// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"errors"
	"os"

	"github.com/falcotest/go-falcotest/events"
)

// root is the need of actions that write where only root may.
var root = events.Need{
	Name: "root",
	Probe: func() error {
		if os.Geteuid() != 0 {
			return errors.New("not running as root")
		}
		return nil
	},
	Hint: "run the tests as root, for example with sudo or in a container",
}
