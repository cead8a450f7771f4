// SPDX-License-Identifier: Apache-2.0

package places

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

// All returns the places that there are, the bare machine first.
func All() []Place {
	places := []Place{
		{Name: "root", What: "as root on the machine"},
		{Name: "user 65534", What: "as a user without any rights, who has no home", start: asNobody},
		{Name: "unshare -pf", What: "in a PID namespace with the /proc of another", start: clone(unix.CLONE_NEWPID)},
		{Name: "unshare -pf --mount-proc", What: "in a PID namespace with its own /proc", start: clone(unix.CLONE_NEWPID | unix.CLONE_NEWNS), enter: mountProc},
		{Name: "unshare -Ur", What: "as root of a user namespace, who is root of nothing else", start: asMappedRoot},
		{Name: "capsh --drop=all", What: "as root without any capability", enter: executing(dropAll)},
		{Name: "setpriv --no-new-privs", What: "as root whose programs gain nothing by being executed", enter: executing(noNewPrivileges)},
	}
	places = append(places,
		Place{Name: "ulimit -n 64", What: "as root who may open few files", enter: limitFiles},
		Place{Name: "a long TMPDIR", What: "as root whose temporary files have too long paths for sockets", enter: longTemp},
	)
	for _, call := range []struct {
		name   string
		number uint32
	}{
		{"process_vm_readv", unix.SYS_PROCESS_VM_READV},
		{"pidfd_open", unix.SYS_PIDFD_OPEN},
		{"pidfd_getfd", unix.SYS_PIDFD_GETFD},
		{"clone3", unix.SYS_CLONE3},
		{"ptrace", unix.SYS_PTRACE},
		{"seccomp", unix.SYS_SECCOMP},
		{"io_uring_setup", unix.SYS_IO_URING_SETUP},
	} {
		places = append(places, Place{
			Name: "no " + call.name, What: "as root, where a seccomp profile forbids " + call.name,
			enter: executing(func() error { return deny(call.number) }),
		})
	}
	// What images of distributions have, and rules are about.
	files := map[string]string{
		"/etc/passwd": "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n" +
			"www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
		"/etc/group":                  "root:x:0:\ndaemon:x:1:\nshadow:x:42:\nwww-data:x:33:\nnogroup:x:65534:\n",
		"/etc/shadow":                 "root:*:20000:0:99999:7:::\n",
		"/etc/pam.d/login":            "auth required pam_unix.so\n",
		"/etc/apt/sources.list":       "deb http://deb.debian.org/debian stable main\n",
		"/usr/bin/README":             "where programs would be\n",
		"/usr/local/bin/README":       "where programs would be\n",
		"/var/tmp/README":             "where files would be\n",
		"/var/log/README":             "where logs would be\n",
		"/var/lib/dpkg/status":        "",
		"/home/README":                "where homes would be\n",
		"/root/.bashrc":               "",
		"/etc/ld.so.conf":             "",
		"/usr/lib/os-release":         "NAME=falcotest\n",
		"/etc/apt/sources.list.d/old": "",
	}
	for _, c := range []struct {
		name, what string
		like       events.Container
	}{
		{"docker run", "in a container with the default profile", events.Container{}},
		{"docker run --cap-add SYS_PTRACE", "in a container that may trace", events.Container{CapAdd: []string{"SYS_PTRACE"}}},
		{"docker run --privileged", "in a privileged container", events.Container{Privileged: true}},
		{"docker run --user 65534", "in a container, as a user without any rights", events.Container{User: "65534"}},
	} {
		c.like.Files = files
		places = append(places, Place{Name: c.name, What: c.what, container: &c.like, enter: asBuilt})
	}
	return places
}

func attributes(cmd *exec.Cmd) *syscall.SysProcAttr {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	// Whatever the tests do to their process group, they do not do to ours.
	cmd.SysProcAttr.Setpgid = true
	return cmd.SysProcAttr
}

func asNobody(cmd *exec.Cmd) error {
	if os.Geteuid() != 0 {
		return errors.New("only root can become another user")
	}
	// go test builds programs in a folder that is its user's alone.
	for _, kv := range cmd.Env {
		if shared, ok := strings.CutPrefix(kv, envShared+"="); ok && shared != "" {
			program := filepath.Join(shared, filepath.Base(cmd.Path))
			if err := copyProgram(cmd.Path, program); err != nil {
				return err
			}
			cmd.Path = program
		}
	}
	attributes(cmd).Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	cmd.Env = append(cmd.Env, "HOME=/nonexistent")
	return nil
}

// copyProgram copies a program to where every user may execute it.
func copyProgram(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Chmod(0o755), out.Close())
}

func clone(flags uintptr) func(*exec.Cmd) error {
	return func(cmd *exec.Cmd) error {
		attributes(cmd).Cloneflags |= flags
		return nil
	}
}

func asMappedRoot(cmd *exec.Cmd) error {
	attr := attributes(cmd)
	attr.Cloneflags |= unix.CLONE_NEWUSER
	attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
	attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	return nil
}

func mountProc() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	return nil
}

// executing changes the calling thread, and has the whole process so by
// executing it again.
func executing(change func() error) func() error {
	return func() error {
		exe, err := os.Executable()
		if err != nil {
			return err
		}
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := change(); err != nil {
			return err
		}
		return unix.Exec(exe, os.Args, os.Environ())
	}
}

func dropAll() error {
	for capability := uintptr(0); ; capability++ {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0)
		if errors.Is(err, unix.EINVAL) {
			return nil // the last one
		}
		if err != nil {
			return fmt.Errorf("dropping capabilities: %w", err)
		}
	}
}

func limitFiles() error {
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 64, Max: 64}); err != nil {
		return fmt.Errorf("limiting open files: %w", err)
	}
	return nil
}

func longTemp() error {
	dir := filepath.Join(os.Getenv(envShared), strings.Repeat("long", 25))
	if err := os.Mkdir(dir, 0o777); err != nil {
		return err
	}
	return os.Setenv("TMPDIR", dir)
}

func noNewPrivileges() error { return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }

// deny has the kernel answer a system call with EPERM, as container engines'
// profiles do; clone3 with ENOSYS, as they do too, since the C library would start
// no thread otherwise.
func deny(number uint32) error {
	const offsetNr = 0 // in struct seccomp_data
	errno := unix.EPERM
	if number == unix.SYS_CLONE3 {
		errno = unix.ENOSYS
	}
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offsetNr},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: number},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(errno)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0)
	runtime.KeepAlive(program)
	if err != nil {
		return fmt.Errorf("installing a seccomp filter: %w", err)
	}
	return nil
}

// asBuilt executes a copy of this program below /tmp, where go test would have
// built it: a file that is not of the container's image.
func asBuilt() error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "go-build")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, filepath.Base(exe))
	from, err := os.Open(exe)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(to, from); err != nil {
		return err
	}
	if err := to.Close(); err != nil {
		return err
	}
	return unix.Exec(path, os.Args, os.Environ())
}
