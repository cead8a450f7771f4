// SPDX-License-Identifier: Apache-2.0

package events

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// capabilities are the names of linux/capability.h, in the order of their bits.
var capabilities = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
	"CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN",
	"CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE",
	"CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME",
	"CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL", "CAP_SETFCAP",
	"CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ",
	"CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
}

func capabilityBit(name string) int {
	bit := slices.Index(capabilities, name)
	if bit < 0 {
		panic(fmt.Sprintf("events: there is no capability %q", name))
	}
	return bit
}

func probeCapability(name string, bit int) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("reading the capabilities of this process: %w", err)
	}
	if data[bit/32].Effective&(1<<(bit%32)) == 0 {
		return fmt.Errorf("this process does not have %s", name)
	}
	return nil
}

func probeWriteIn(dir string) error {
	for at := dir; ; at = filepath.Dir(at) {
		err := unix.Faccessat(unix.AT_FDCWD, at, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
		if errors.Is(err, unix.ENOENT) && at != "/" {
			continue
		}
		if err != nil {
			return fmt.Errorf("user %d may not create files in %s: %w", os.Geteuid(), at, err)
		}
		return nil
	}
}

// probePrivileged looks for what a privileged container has: no system call
// filter, and the capabilities that no other container has by default.
func probePrivileged() error {
	for _, name := range []string{"CAP_SYS_ADMIN", "CAP_SYS_MODULE", "CAP_SYS_RAWIO"} {
		if err := probeCapability(name, capabilityBit(name)); err != nil {
			return fmt.Errorf("this container is not privileged: %w", err)
		}
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return fmt.Errorf("looking for a system call filter: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		if mode, ok := strings.CutPrefix(line, "Seccomp:"); ok && strings.TrimSpace(mode) != "0" {
			return errors.New("this container is not privileged: it has a system call filter")
		}
	}
	return nil
}

// sysctl reads a setting; ok tells whether the kernel has it.
func sysctl(name string) (value int, ok bool, err error) {
	data, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("reading the sysctl %s: %w", name, err)
	}
	value, err = strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return 0, false, fmt.Errorf("reading the sysctl %s: %w", name, err)
	}
	return value, true, nil
}

func probePty() error {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening /dev/ptmx: %w", err)
	}
	return unix.Close(fd)
}

func probeUserNamespaces() error {
	if _, err := os.Stat("/proc/self/ns/user"); err != nil {
		return fmt.Errorf("the kernel has no user namespaces: %w", err)
	}
	for _, s := range []struct {
		name     string
		all      bool // it holds for root too
		forbids  func(int) bool
		expected string
	}{
		{"user.max_user_namespaces", true, func(v int) bool { return v == 0 }, "above 0"},
		{"kernel.unprivileged_userns_clone", false, func(v int) bool { return v == 0 }, "1"},
		{"kernel.apparmor_restrict_unprivileged_userns", false, func(v int) bool { return v != 0 }, "0"},
	} {
		if !s.all && admin() {
			continue
		}
		v, ok, err := sysctl(s.name)
		if err != nil {
			return err
		}
		if ok && s.forbids(v) {
			return fmt.Errorf("the sysctl %s is %d, not %s", s.name, v, s.expected)
		}
	}
	// For a process with several threads, as those of Go have, it cannot succeed.
	return tried("unshare", unix.Unshare(unix.CLONE_NEWUSER))
}

func admin() bool { return probeCapability("CAP_SYS_ADMIN", capabilityBit("CAP_SYS_ADMIN")) == nil }

// tried tells what keeps a system call from being made at all, by the error of
// one that could not succeed: a policy of the kernel, or a seccomp profile such as
// container engines have.
func tried(call string, err error) error {
	for _, errno := range []unix.Errno{unix.EPERM, unix.EACCES, unix.ENOSYS} {
		if errors.Is(err, errno) {
			return fmt.Errorf("%s is not allowed: %w", call, err)
		}
	}
	return nil
}

func call(nr uintptr, args ...uintptr) error {
	var a [3]uintptr
	copy(a[:], args)
	if _, _, errno := unix.Syscall(nr, a[0], a[1], a[2]); errno != 0 {
		return errno
	}
	return nil
}

func probeOverlay() error {
	data, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return fmt.Errorf("reading which file systems there are: %w", err)
	}
	if !slices.Contains(strings.Fields(string(data)), "overlay") {
		return errors.New("overlay is not in /proc/filesystems")
	}
	return nil
}

func probeBPF() error {
	if probeCapability("CAP_BPF", capabilityBit("CAP_BPF")) != nil && !admin() {
		v, ok, err := sysctl("kernel.unprivileged_bpf_disabled")
		if err != nil {
			return err
		}
		if ok && v != 0 {
			return fmt.Errorf("this process does not have CAP_BPF, and the sysctl kernel.unprivileged_bpf_disabled is %d", v)
		}
	}
	const noCommand = 1<<31 - 1
	return tried("bpf", call(unix.SYS_BPF, noCommand))
}

func probeUserfaultfd() error {
	_, ok, err := sysctl("vm.unprivileged_userfaultfd")
	if err == nil && !ok {
		err = errors.New("the kernel has no userfaultfd (no sysctl vm.unprivileged_userfaultfd)")
	}
	if err != nil {
		return err
	}
	const userModeOnly, noFlag = 1, 1 << 30
	return tried("userfaultfd", call(unix.SYS_USERFAULTFD, userModeOnly|noFlag))
}

func probeIOUring() error {
	v, ok, err := sysctl("kernel.io_uring_disabled")
	switch {
	case err != nil:
		return err
	case ok && v == 2, ok && v == 1 && !admin():
		return fmt.Errorf("the sysctl kernel.io_uring_disabled is %d", v)
	}
	return tried("io_uring_setup", call(unix.SYS_IO_URING_SETUP, 1))
}

func probeMemfd() error {
	v, ok, err := sysctl("vm.memfd_noexec")
	if err == nil && ok && v >= 2 {
		err = fmt.Errorf("the sysctl vm.memfd_noexec is %d", v)
	}
	return err
}

func probeModules() error {
	if _, err := os.Stat("/proc/modules"); err != nil {
		return fmt.Errorf("the kernel has no modules: %w", err)
	}
	v, ok, err := sysctl("kernel.modules_disabled")
	if err != nil {
		return err
	}
	if ok && v != 0 {
		return fmt.Errorf("the sysctl kernel.modules_disabled is %d", v)
	}
	return probeCapability("CAP_SYS_MODULE", capabilityBit("CAP_SYS_MODULE"))
}

func probeNetworkNamespaces() error {
	if _, err := os.Stat("/proc/self/ns/net"); err != nil {
		return fmt.Errorf("the kernel has no network namespaces: %w", err)
	}
	for _, name := range []string{"CAP_SYS_ADMIN", "CAP_NET_ADMIN"} {
		if err := probeCapability(name, capabilityBit(name)); err != nil {
			return err
		}
	}
	return nil
}
