// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

// program returns the name under which this copy of the executable runs when
// SpawnAs started it, and "" in the action's first process. An action that
// spawns itself tells its processes apart by it.
func program(h events.Helper) string {
	if !h.Spawned() {
		return ""
	}
	return filepath.Base(os.Args[0])
}

// keepEnvironment removes all variables from this process's environment but
// those that the children and the correlation of alerts depend on. Falco keeps
// only the first 4096 bytes of an environment: in a long one, a variable that
// an action adds would not be seen.
func keepEnvironment() {
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		switch {
		case strings.HasPrefix(name, "FALCOTEST"), name == "TMPDIR", name == "HOME", name == "PATH":
		default:
			os.Unsetenv(name)
		}
	}
}

// attempted turns the error of a call that the kernel may refuse into success:
// for a rule that detects the attempt, the action has done its work. Errors
// other than those given are returned.
func attempted(h events.Helper, what string, err error, refusals ...unix.Errno) error {
	if err == nil {
		return nil
	}
	for _, errno := range refusals {
		if errors.Is(err, errno) {
			h.Log().WithError(err).Infof("%s: refused, which the rule detects all the same", what)
			return nil
		}
	}
	return fmt.Errorf("%s: %w", what, err)
}
