// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(LinuxKernelModuleInjectionDetected, events.WithContainer(events.Container{CapAdd: []string{"SYS_MODULE"}}))

// LinuxKernelModuleInjectionDetected loads a kernel module from a container.
//
// Rule: kernel_module_load in a container with CAP_SYS_MODULE; the attempt
// counts. The image is no module, so the kernel refuses it before it looks
// further. Needs: a container with CAP_SYS_MODULE. The kernel stays as it is.
//
// ATT&CK: TA0003, persistence.
func LinuxKernelModuleInjectionDetected(h events.Helper) error {
	image := make([]byte, 64)
	copy(image, "not a kernel module")
	err := unix.InitModule(image, "")
	return attempted(h, "loading what is no kernel module", err, unix.ENOEXEC, unix.EPERM, unix.ENOSYS, unix.EBADMSG, unix.EKEYREJECTED)
}
