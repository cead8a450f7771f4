// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package turns

import (
	"os"
	"runtime"
)

func defaultPlaces(string) []place {
	if runtime.GOOS == "windows" {
		return []place{files{os.TempDir()}}
	}
	return []place{files{"/tmp"}}
}
