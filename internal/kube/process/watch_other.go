// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package process

import (
	"fmt"
	"os/exec"
	"runtime"

	"github.com/falcotest/go-falcotest/internal/kube/programs"
)

func ownGroup(*exec.Cmd) {}

func Watch(dir, program string, args []string) (*exec.Cmd, error) {
	return nil, fmt.Errorf("starting %s is not supported on %s, where it would outlive a test that is killed: build one that does not by `%s`",
		program, runtime.GOOS, programs.Command)
}
