// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(DetectReleaseAgentFileContainerEscapes, events.WithContainer(events.Container{CapAdd: []string{"SYS_ADMIN"}}))

// DetectReleaseAgentFileContainerEscapes opens the release_agent file of a
// cgroup hierarchy for writing: the kernel would run the program that is named
// there on the host.
//
// Rule: open_write in a container of a file whose name ends in release_agent,
// by root with CAP_SYS_ADMIN. The hierarchy is a named one of its own, made for
// this and unmounted; where the kernel or the container's profile does not
// allow that, the file is an ordinary one of the same name. Nothing is written.
// Needs: a container with CAP_SYS_ADMIN.
//
// ATT&CK: T1611, escape to host.
func DetectReleaseAgentFileContainerEscapes(h events.Helper) error {
	dir, err := tempDir(h)
	if err != nil {
		return err
	}
	agent := filepath.Join(dir, "release_agent")
	flags := os.O_WRONLY
	if err := unix.Mount("falcotest", dir, "cgroup", 0, "none,name="+filepath.Base(dir)); err == nil {
		h.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) }, "unmount", dir)
	} else {
		h.Log().WithError(err).Info("no cgroup hierarchy of its own: using an ordinary file")
		flags |= os.O_CREATE
	}
	f, err := os.OpenFile(agent, flags, 0o600)
	if err != nil {
		return fmt.Errorf("opening a release agent: %w", err)
	}
	return f.Close()
}
