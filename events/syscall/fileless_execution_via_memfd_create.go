// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"errors"
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(FilelessExecutionViaMemfdCreate)

// FilelessExecutionViaMemfdCreate executes a program that exists in memory
// only: a file made by memfd_create, executed by way of /proc/self/fd.
//
// Rule: spawned_process with proc.is_exe_from_memfd. The program is a few
// bytes of machine code that exit. Needs: memfd_create, and a kernel that lets
// such files be executed (vm.memfd_noexec below 2). It leaves nothing.
//
// ATT&CK: T1620, reflective code loading.
func FilelessExecutionViaMemfdCreate(h events.Helper) error {
	image, err := exitProgram()
	if err != nil {
		return err
	}
	fd, err := unix.MemfdCreate("falcotest", unix.MFD_CLOEXEC|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3
		fd, err = unix.MemfdCreate("falcotest", unix.MFD_CLOEXEC)
	}
	if errors.Is(err, unix.EACCES) {
		return &events.ErrSkipped{Reason: "the kernel forbids executable memory files: sysctl vm.memfd_noexec is 2"}
	}
	if err != nil {
		return fmt.Errorf("making a file in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), "memfd:falcotest")
	defer f.Close()
	if _, err := f.Write(image); err != nil {
		return fmt.Errorf("writing a program to memory: %w", err)
	}
	// A file that is open for writing cannot be executed.
	path := fmt.Sprintf("/proc/self/fd/%d", fd)
	program, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("opening the program in memory again: %w", err)
	}
	defer program.Close()
	if err := f.Close(); err != nil {
		return fmt.Errorf("closing the program in memory: %w", err)
	}
	cmd := exec.Command("/proc/self/fd/3")
	cmd.ExtraFiles = []*os.File{program} // descriptor 3 of the child
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("executing a program in memory: %w", err)
	}
	return nil
}
