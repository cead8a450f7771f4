// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// longestSocket is how long the path of a unix socket may be: sun_path in
// struct sockaddr_un has 108 bytes on Linux and 104 on macOS, with a zero at
// the end.
const longestSocket = 103

// shortTemp is where sockets are when the path of [os.TempDir] is too long.
const shortTemp = "/tmp"

// CreateForSocket is like [CreatePrivate], in [os.TempDir] or, where the path of
// a socket of that name in it would be too long, in /tmp.
func CreateForSocket(id, name string) (*Dir, error) {
	if fits(os.TempDir(), id, name) {
		return CreatePrivate("", id)
	}
	d, err := CreatePrivate(shortTemp, id)
	if err != nil {
		return nil, fmt.Errorf("the folder for temporary files, %s, has too long a path for a socket in it (TMPDIR can name another): %w", os.TempDir(), err)
	}
	return d, nil
}

func fits(parent, id, name string) bool {
	return runtime.GOOS == "windows" || len(filepath.Join(parent, prefix+id, name)) <= longestSocket
}

// parents are the folders in which runs make theirs.
func parents() []string {
	temp := os.TempDir()
	if fits(temp, "ft01234567890123", "falco.sock") || filepath.Clean(temp) == shortTemp {
		return []string{temp}
	}
	return []string{temp, shortTemp}
}
