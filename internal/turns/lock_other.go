// SPDX-License-Identifier: Apache-2.0

//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package turns

import (
	"errors"
	"os"
	"runtime"
)

var errUnsupported = errors.New("processes cannot take turns on " + runtime.GOOS + ": run one package at a time, go test -p 1, on Linux or macOS")

func openLock(string) (*os.File, error) { return nil, errUnsupported }
func lock(*os.File) (bool, error)       { return false, errUnsupported }
func remove(*Turn)                      {}
