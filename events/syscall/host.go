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

// stayOutOfContainers makes sure that what this process starts from now on is
// no container's to Falco, for rules about what runs outside of containers.
//
// Falco takes a control group whose path has two parts or more, and does not
// end as systemd's do, for a container of containerd's. Where this process is
// in such a group, although in no container, it moves itself to the hierarchy's
// root, until it ends.
func stayOutOfContainers(h events.Helper) error {
	if h.InContainer() {
		return &events.ErrSkipped{Reason: "the rule is about what runs outside of containers, and this is one"}
	}
	groups, err := os.ReadFile("/proc/self/cgroup")
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a kernel without control groups
	}
	if err != nil {
		return fmt.Errorf("reading the control groups of this process: %w", err)
	}
	for line := range strings.Lines(string(groups)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 || !likeContainer(fields[2]) {
			continue
		}
		if err := moveToRoot(strings.TrimPrefix(fields[1], "name=")); err != nil {
			return &events.ErrSkipped{Reason: fmt.Sprintf("Falco takes the control group %s for a container, and this process cannot leave it: %v", fields[2], err)}
		}
	}
	return nil
}

func likeContainer(group string) bool {
	for _, suffix := range []string{".service", ".slice", ".scope"} {
		if strings.HasSuffix(group, suffix) {
			return false
		}
	}
	return strings.Count(group, "/") >= 2
}

// moveToRoot moves this process to the root of the hierarchy with the given
// controllers, none for that of version 2.
func moveToRoot(controllers string) (err error) {
	roots := []string{controllers}
	if controllers == "" {
		roots = []string{"", "unified"}
	}
	for _, root := range roots {
		file := filepath.Join("/sys/fs/cgroup", root, "cgroup.procs")
		if err = os.WriteFile(file, []byte("0"), 0); err == nil { // 0 is the writer
			return nil
		}
	}
	return err
}
