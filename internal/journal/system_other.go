// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package journal

import (
	"io/fs"
	"os"
)

// lock says that the file is in use: without a lock that goes with its owner,
// nothing is recovered.
func lock(*os.File) (bool, error) { return false, nil }

func own(string) bool { return true }

func owner(fs.FileInfo) (uid, gid int) { return -1, -1 }
