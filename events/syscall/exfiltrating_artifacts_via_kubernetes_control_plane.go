// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"os"
	"path/filepath"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(ExfiltratingArtifactsViaKubernetesControlPlane, events.WithDisabled(),
	events.WithContainer(events.Container{}))

// ExfiltratingArtifactsViaKubernetesControlPlane packs a file of a container
// with tar, as kubectl cp does that copies it out.
//
// Rule: open_read by tar in a container, below a container's runtime
// (container_entrypoint), without a terminal, of a file that is none of the
// system's: copies of this executable run as runc and, below it, as tar, which
// reads a file of its own. Needs: a container. Nothing is copied out.
//
// ATT&CK: TA0010, exfiltration.
func ExfiltratingArtifactsViaKubernetesControlPlane(h events.Helper) error {
	const action = "syscall.ExfiltratingArtifactsViaKubernetesControlPlane"
	switch program(h) {
	case "runc":
		return h.SpawnAs("tar", action, append([]string{"cf", "-"}, os.Args[1:]...)...)
	case "tar":
		return readByte(filepath.Clean(os.Args[len(os.Args)-1]))
	}
	file, err := tempFile(h, "customers.db", "a row\n")
	if err != nil {
		return err
	}
	return h.SpawnAs("runc", action, file)
}
