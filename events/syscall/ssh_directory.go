// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/falcotest/go-falcotest/events"
)

// sshDirectory makes the home directory of nobody, with an empty .ssh in it,
// below /home, where rules look for users' keys: in /home itself or, as an
// ordinary user, in that user's own home.
func sshDirectory(h events.Helper) (string, error) {
	parents := []string{"/home"}
	if home := os.Getenv("HOME"); strings.HasPrefix(home, "/home/") {
		parents = append(parents, filepath.Clean(home))
	}
	var err error
	if os.Geteuid() == 0 {
		if err := ownDir(h, "/home"); err != nil {
			return "", fmt.Errorf("making /home: %w", err)
		}
	}
	for _, parent := range parents {
		var home string
		if home, err = tempDirIn(h, parent); err == nil {
			dir := filepath.Join(home, ".ssh")
			return dir, os.Mkdir(dir, 0o700)
		}
	}
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		err = path.Err
	}
	return "", &events.ErrSkipped{Reason: fmt.Sprintf("user %d can make no directory in %s: %v", os.Geteuid(), strings.Join(parents, " or "), err)}
}
