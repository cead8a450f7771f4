// SPDX-License-Identifier: Apache-2.0

package events

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/falcotest/go-falcotest/internal/incontainer"
)

// Needs that actions have in common. Their probes only look, or make a system
// call that cannot succeed; none takes more than reading a file or two. On other
// systems than Linux those of the kernel are never met.
var (
	// Root is the need to be user 0, with whatever rights that one has here: in a
	// container or a user namespace there may be none. For an action that uses
	// a right, [Capability] or [WriteIn] says which.
	Root = Need{
		Name: "root",
		Probe: func() error {
			if uid := os.Geteuid(); uid != 0 {
				return fmt.Errorf("running as user %d", uid)
			}
			return nil
		},
		Hint: "run the tests as root, for example with sudo",
	}

	// Host is the need not to be in a container.
	Host = Need{
		Name: "host",
		Probe: func() error {
			if incontainer.Here() {
				return errors.New("running in a container")
			}
			return nil
		},
		Hint: "run the tests on the host",
	}

	// Pty is the need of a pseudo terminal.
	Pty = Need{Name: "pty", Probe: probePty, Hint: "mount devpts at /dev/pts"}

	// UserNamespaces is the need to make user namespaces.
	UserNamespaces = Need{
		Name:  "user namespaces",
		Probe: probeUserNamespaces,
		Hint:  "set the sysctls user.max_user_namespaces above 0, kernel.unprivileged_userns_clone to 1 and kernel.apparmor_restrict_unprivileged_userns to 0, where they exist",
	}

	// Overlay is the need of the file system overlay.
	Overlay = Need{Name: "overlay", Probe: probeOverlay, Hint: "load the kernel module: modprobe overlay"}

	// BPF is the need to be allowed to use bpf(2).
	BPF = Need{Name: "bpf", Probe: probeBPF, Hint: "run the tests as root, or set the sysctl kernel.unprivileged_bpf_disabled to 0"}

	// Userfaultfd is the need of userfaultfd(2).
	Userfaultfd = Need{Name: "userfaultfd", Probe: probeUserfaultfd, Hint: "use a kernel with CONFIG_USERFAULTFD"}

	// IOUring is the need to be allowed to use io_uring_setup(2).
	IOUring = Need{Name: "io_uring", Probe: probeIOUring, Hint: "set the sysctl kernel.io_uring_disabled to 0"}

	// Memfd is the need to execute files that memfd_create(2) makes.
	Memfd = Need{Name: "memfd", Probe: probeMemfd, Hint: "set the sysctl vm.memfd_noexec below 2"}

	// Modules is the need to try to load kernel modules.
	Modules = Need{Name: "kernel modules", Probe: probeModules, Hint: "run the tests as root on a kernel with modules, where the sysctl kernel.modules_disabled is 0"}

	// NetworkNamespaces is the need to make network namespaces and to set up
	// interfaces in them.
	NetworkNamespaces = Need{
		Name:  "network namespaces",
		Probe: probeNetworkNamespaces,
		Hint:  "run the tests as root",
	}

	// Cluster is the need of a Kubernetes cluster: that there is a configuration
	// for one. Whether it answers is not tried. Package falcotest provides the
	// actions that declare it with a cluster, and has their rules judged by its
	// audit events.
	Cluster = Need{Name: "cluster", Probe: probeCluster, Hint: "set KUBECONFIG, or run the tests in a pod"}
)

// Capability is the need of a capability, such as CAP_NET_ADMIN, in the
// effective set of this process. It panics when there is none of that name.
func Capability(name string) Need {
	bit := capabilityBit(name)
	return Need{
		Name:  name,
		Probe: func() error { return probeCapability(name, bit) },
		Hint:  "run the tests as root, in a container with --cap-add " + name,
	}
}

// WriteIn is the need to create files in a directory, which may have to be made
// in the nearest one above it that exists.
func WriteIn(dir string) Need {
	return Need{
		Name:  "to write in " + dir,
		Probe: func() error { return probeWriteIn(dir) },
		Hint:  "run the tests as the owner of " + dir + ", for example as root, with a file system that is not read-only",
	}
}

// Program is the need of an executable: at a path, or on the PATH.
func Program(name string) Need {
	return Need{
		Name: name,
		Probe: func() error {
			_, err := exec.LookPath(name)
			return err
		},
		Hint: "install " + filepath.Base(name),
	}
}

func probeCluster() error {
	if os.Getenv("KUBERNETES_SERVICE_HOST") != "" {
		return nil
	}
	files := filepath.SplitList(os.Getenv("KUBECONFIG"))
	if len(files) == 0 {
		home, err := os.UserHomeDir()
		if err != nil {
			return fmt.Errorf("looking for a Kubernetes configuration: %w", err)
		}
		files = []string{filepath.Join(home, ".kube", "config")}
	}
	var errs []error
	for _, file := range files {
		_, err := os.Stat(file)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return fmt.Errorf("looking for a Kubernetes configuration: %w", errors.Join(errs...))
}
