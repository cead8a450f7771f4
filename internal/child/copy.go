// SPDX-License-Identifier: Apache-2.0

package child

import (
	"crypto/rand"
	"os"
	"path/filepath"

	"github.com/falcotest/go-falcotest/internal/child/inside"
	"github.com/falcotest/go-falcotest/internal/hermetic"
	"github.com/falcotest/go-falcotest/internal/journal"
)

// copied is the copy of this executable that is linked where the executable itself
// cannot be: it belongs to another user, or lies in another file system. It is
// guarded by reaper.mu, and made once for as long as [Reap] is in force.
var copied struct {
	dir  *journal.Dir
	path string // "" when it could not be made
}

// provideExecutable puts a name of this executable into the directory of an
// action, where its processes link it further. Without one, they copy it.
func provideExecutable(dir string) {
	at := filepath.Join(dir, hermetic.Executable)
	if inside.LinkExecutable(at) == nil {
		return
	}
	if path := sharedCopy(); path != "" {
		_ = os.Link(path, at)
	}
}

func sharedCopy() string {
	reaper.mu.Lock()
	defer reaper.mu.Unlock()
	if copied.dir != nil || reaper.users == 0 {
		return copied.path
	}
	dir, err := journal.CreatePrivate("", "executable-"+rand.Text()[:12])
	if err != nil {
		return ""
	}
	copied.dir = dir
	path := filepath.Join(dir.Path(), hermetic.Executable)
	if err := inside.CopyBytes(path); err == nil {
		copied.path = path
	}
	return copied.path
}

// removeCopy removes it, if it was made. The caller holds reaper.mu.
func removeCopy() {
	if copied.dir != nil {
		_, _ = copied.dir.Close() // what cannot be removed, a later run removes
	}
	copied.dir, copied.path = nil, ""
}
