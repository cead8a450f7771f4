// SPDX-License-Identifier: Apache-2.0

//go:build unix

package journal

import (
	"io/fs"
	"syscall"
)

// renames tells whether a directory can be renamed whose files are open.
const renames = true

func owner(info fs.FileInfo) (uid, gid int) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return -1, -1
	}
	return int(st.Uid), int(st.Gid)
}
