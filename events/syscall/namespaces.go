// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

// onOwnThread calls f on an operating system thread that ends with it, so that
// the namespaces which f enters are that thread's alone.
func onOwnThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: that ends the thread
		done <- f()
	}()
	return <-done
}

// spawnInit runs the action in a copy of this executable that is process 1 of
// a new PID namespace, as the first process of a container is. It needs
// CAP_SYS_ADMIN.
func spawnInit(h events.Helper, action string) error {
	// The first use of a process handle forks a child to try what the kernel
	// can do; that child must not become the new namespace's process 1.
	if p, err := os.FindProcess(os.Getpid()); err == nil {
		p.Release()
	}
	return onOwnThread(func() error {
		err := unix.Unshare(unix.CLONE_NEWPID)
		if errors.Is(err, unix.EPERM) {
			return &events.ErrSkipped{Reason: "making a PID namespace needs CAP_SYS_ADMIN"}
		}
		if err != nil {
			return fmt.Errorf("making a PID namespace: %w", err)
		}
		return h.SpawnAs("init", action)
	})
}

// enterHosts lets this thread's /etc/hosts say that name has the given
// address, so that a judge who resolves names as the thread does knows it. The
// line is in a mount of the thread's own or, in a container that may not make
// one, in the container's file until the action completes. The machine's file
// is not changed.
func enterHosts(h events.Helper, address, name string) error {
	content, err := os.ReadFile("/etc/hosts")
	if errors.Is(err, os.ErrNotExist) {
		return &events.ErrSkipped{Reason: "there is no /etc/hosts"}
	}
	if err != nil {
		return fmt.Errorf("reading /etc/hosts: %w", err)
	}
	changed := string(content) + "\n" + address + "\t" + name + "\n"
	err = unix.Unshare(unix.CLONE_NEWNS)
	switch {
	case errors.Is(err, unix.EPERM) && h.InContainer():
		h.Cleanup(func() { os.WriteFile("/etc/hosts", content, 0o644) }, "restore", "/etc/hosts")
		err := os.WriteFile("/etc/hosts", []byte(changed), 0o644)
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS) {
			return &events.ErrSkipped{Reason: "a name of its own in the container's /etc/hosts needs CAP_SYS_ADMIN, or to be allowed to write to that file"}
		}
		if err != nil {
			return fmt.Errorf("adding a name to the container's /etc/hosts: %w", err)
		}
		return nil
	case errors.Is(err, unix.EPERM):
		return &events.ErrSkipped{Reason: "a hosts file of its own needs CAP_SYS_ADMIN"}
	case err != nil:
		return fmt.Errorf("making a mount namespace: %w", err)
	}
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	hosts, err := tempFile(h, "hosts", changed)
	if err != nil {
		return err
	}
	if err := unix.Mount(hosts, "/etc/hosts", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mounting %s over /etc/hosts: %w", hosts, err)
	}
	return nil
}
