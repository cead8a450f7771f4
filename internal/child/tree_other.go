// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package child

import (
	"os"
	"os/exec"
)

func executable() (string, error) { return os.Executable() }

func newSession(*exec.Cmd) {}

// killDescendants finds none: without /proc, processes of SpawnAs end when
// they see that their parent has.
func killDescendants(int, string, bool) []int { return nil }

func hasChildren() bool { return true }

func threadID() int { return 0 }
