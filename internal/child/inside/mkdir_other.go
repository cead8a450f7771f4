// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package inside

import "os"

// mkdirForAll makes a directory, unless there is one.
func mkdirForAll(dir string) error { return os.Mkdir(dir, 0o777) }
