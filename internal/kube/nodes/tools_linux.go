// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/falcotest/go-falcotest/internal/kube"
)

// tools are the programs of which a node is made.
type tools struct{ containerd, shim, runc, ctr, kubelet, init string }

// Available says why no node can run on this machine, and what to do about it, or
// returns nil.
func Available() error {
	_, err := findTools()
	return err
}

func findTools() (t tools, err error) {
	if os.Geteuid() != 0 {
		return t, fmt.Errorf("%w: its kubelet needs root", ErrUnavailable)
	}
	var missing []string
	for name, path := range map[string]*string{
		"containerd": &t.containerd, "containerd-shim-runc-v2": &t.shim, "runc": &t.runc, "ctr": &t.ctr,
	} {
		if *path, err = find(name); err != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return t, fmt.Errorf("%w: %w: %s is not on the PATH: install containerd and runc (Debian and Ubuntu: apt-get install containerd runc)", ErrUnavailable, ErrMissing, strings.Join(missing, ", "))
	}
	if t.kubelet, err = kube.FindNodes(); err != nil {
		return t, fmt.Errorf("%w: %w: %w", ErrUnavailable, ErrMissing, err)
	}
	if err := groupless(); err != nil {
		return t, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	probe := exec.Command(t.runc, "--version")
	probe.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS | syscall.CLONE_NEWCGROUP}
	if err := probe.Run(); err != nil {
		return t, fmt.Errorf("%w: making namespaces: %w (in a container, --privileged allows it)", ErrUnavailable, err)
	}
	return t, nil
}

// find looks for a program on the PATH, and where Debian has those of root, which
// are not on everybody's.
func find(name string) (string, error) {
	path, err := exec.LookPath(name)
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/sbin"} {
		if err != nil {
			path, err = exec.LookPath(filepath.Join(dir, name))
		}
	}
	if err != nil {
		return "", err
	}
	return filepath.Abs(path)
}

// hidden says that the node would not see its own folder.
func (t tools) hidden(dir string) error {
	for _, own := range ownFolders {
		if strings.HasPrefix(dir, own+"/") {
			return fmt.Errorf("%w: the folder for temporary files is in %s, which is another on a node: TMPDIR can name one elsewhere", ErrUnavailable, own)
		}
	}
	return nil
}
