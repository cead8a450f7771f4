// SPDX-License-Identifier: Apache-2.0

package hermetic

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Prepare changes the attributes of a start of this executable, so that the process
// has folders that vanish with it, and returns variables to add to its environment.
// The directory work must exist, be the process's own and, where it is below a covered
// folder, is not covered. When the start fails, the kernel may refuse the namespaces.
func Prepare(attr *syscall.SysProcAttr, work string, opts Options) ([]string, error) {
	attr.Cloneflags |= unix.CLONE_NEWNS
	env := []string{envPrepare + "=" + work}
	if opts.All {
		env = append(env, envAll+"=1")
	}
	if opts.Network {
		attr.Cloneflags |= unix.CLONE_NEWNET
	}
	if uid, gid := os.Geteuid(), os.Getegid(); uid != 0 {
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
		// Without these, executing drops the new namespace's privileges before
		// the mounts are made. An overlay also needs to look into a directory
		// of its own that no one may enter.
		attr.AmbientCaps = append(attr.AmbientCaps, unix.CAP_SYS_ADMIN, unix.CAP_DAC_OVERRIDE)
		if opts.Network {
			attr.AmbientCaps = append(attr.AmbientCaps, unix.CAP_NET_ADMIN)
			env = append(env, envNetwork+"="+joinAddresses(opts.Addresses))
		}
	}
	return env, nil
}

// prepare makes the mounts and, as an ordinary user, executes this executable
// again without the privilege to make more.
func prepare(work string) {
	root := os.Geteuid() == 0
	runtime.LockOSThread() // the privileges belong to the thread
	defer runtime.UnlockOSThread()
	program, err := holdExecutable()
	if network, ok := os.LookupEnv(envNetwork); ok && err == nil && !root {
		err = prepareNetwork(network)
	}
	if err == nil {
		err = cover(work, root)
	}
	active = err == nil
	if err != nil {
		why = err.Error()
	}
	if root || program == "" {
		return
	}
	unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
	err = unix.Exec(program, os.Args, append(os.Environ(), Environ()...))
	fmt.Fprintf(os.Stderr, "falcotest: executing %s again after making mounts: %v\n", program, err)
	os.Exit(2)
}

// holdExecutable returns a path by which this executable can be executed when
// its folder is covered: the same file of the same mount, by its own name.
func holdExecutable() (string, error) {
	path, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return "", err
	}
	dir, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "/proc/self/exe", nil
	}
	held := filepath.Join(fdPath(dir), filepath.Base(path))
	at, err1 := os.Stat(held)
	is, err2 := os.Stat("/proc/self/exe")
	if err1 != nil || err2 != nil || !os.SameFile(at, is) {
		unix.Close(dir)
		return "/proc/self/exe", nil
	}
	return held, nil
}

func fdPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// mountPoint is one line of /proc/self/mountinfo.
type mountPoint struct {
	path, fstype, options string
}

// target is a place to mount something at.
type target struct {
	path string
	fd   int // the place before anything was covered
	how  how
	deep bool // bind what is mounted below it, too
	mountPoint
}

type how int

const (
	overlay how = iota
	empty       // a new tmpfs
	bind        // what was there
	file        // a copy of the file
)

// pseudo are file systems that hold no files of their own.
var pseudo = []string{
	"proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue", "hugetlbfs", "binfmt_misc", "autofs",
	"debugfs", "tracefs", "securityfs", "configfs", "bpf", "pstore", "efivarfs", "fusectl", "rpc_pipefs", "nsfs",
}

// userFolders are covered by overlays of their own for an ordinary user: the
// top of an overlay is the user's, so that an action can try to write there.
var userFolders = []string{
	"/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib64", "/usr/local/bin", "/usr/local/sbin", "/var/log",
}

func cover(work string, root bool) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	mounts, err := readMounts()
	if err != nil {
		return err
	}
	if coverAll && root && coverRoot(work, mounts) == nil {
		return nil
	}
	cwd, cwdErr := os.Getwd()
	keep, err := unix.Open(work, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening %s: %w", work, err)
	}
	defer unix.Close(keep)
	targets := chooseTargets(mounts, root)
	defer func() {
		for _, t := range targets {
			unix.Close(t.fd)
		}
	}()

	// What is written goes to a tmpfs that no path leads to in the end.
	if err := unix.Mount("falcotest", work, "tmpfs", unix.MS_NOATIME, "mode=700"); err != nil {
		return fmt.Errorf("mounting a tmpfs: %w", err)
	}
	upper, err := unix.Open(work, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening a tmpfs: %w", err)
	}
	defer unix.Close(upper)
	var refused error
	for i, t := range targets {
		err := t.mount(fdPath(upper), strconv.Itoa(i), root)
		isMount := slices.ContainsFunc(mounts, func(m mountPoint) bool { return m.path == t.path })
		switch {
		case err == nil:
		case t.how == overlay && !root:
			refused = fmt.Errorf("covering %s: %w", t.path, err)
			continue // nothing is hidden, so it stays
		case t.how == overlay && isMount:
			// Of some file systems overlays cannot be made.
			if err := unix.Mount(fdPath(t.fd), t.path, "", unix.MS_BIND, ""); err != nil {
				return fmt.Errorf("keeping the mount at %s: %w", t.path, err)
			}
			t.how = bind
		default:
			return fmt.Errorf("covering %s: %w", t.path, err)
		}
		sign := "+"
		if t.how == bind {
			sign = "-"
		}
		covered = append(covered, sign+t.path)
	}
	if err := unix.Unmount(fdPath(upper), unix.MNT_DETACH); err != nil {
		return fmt.Errorf("letting go of a tmpfs: %w", err)
	}
	if len(covered) == 0 && refused != nil {
		return refused
	}
	covered = append(covered, "-"+work)
	if slices.ContainsFunc(targets, func(t target) bool { return contains(t.path, work) }) {
		if err := unix.Mount(fdPath(keep), work, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("keeping %s: %w", work, err)
		}
	}
	if cwdErr == nil {
		if err := os.Chdir(cwd); err != nil {
			return fmt.Errorf("going back to the working directory: %w", err)
		}
	}
	return nil
}

// chooseTargets returns what to cover and what to keep, those above before
// those below, and opens each while it is not covered.
func chooseTargets(mounts []mountPoint, root bool) []target {
	var targets []target
	add := func(path string, m mountPoint) {
		fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return
		}
		var st unix.Stat_t
		if unix.Fstat(fd, &st) != nil {
			unix.Close(fd)
			return
		}
		t := target{path: path, fd: fd, mountPoint: m}
		t.path = path
		switch mode := st.Mode & unix.S_IFMT; {
		case path == "/dev/shm" && mode == unix.S_IFDIR:
			t.how = empty
		case mode == unix.S_IFREG && st.Size <= 1<<20:
			t.how = file
		case mode != unix.S_IFDIR || slices.Contains(pseudo, m.fstype):
			t.how = bind
		}
		targets = append(targets, t)
	}
	below := func(dir string) (in []mountPoint) {
		for _, m := range mounts {
			if m.path != dir && contains(dir, m.path) {
				in = append(in, m)
			}
		}
		return in
	}
	isFolder := func(path string) bool {
		info, err := os.Lstat(path)
		return err == nil && info.IsDir()
	}

	// An ordinary user may not cover what is mounted in the machine's own
	// namespace: there each folder that has no mount below it is covered.
	var around func(dir string)
	around = func(dir string) {
		if len(below(dir)) == 0 {
			if m := mountAt(mounts, dir); !slices.Contains(pseudo, m.fstype) {
				add(dir, m)
			}
			return
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			return
		}
		for _, entry := range entries {
			if entry.IsDir() {
				around(filepath.Join(dir, entry.Name()))
			}
		}
	}
	for _, dir := range Folders {
		switch {
		case !isFolder(dir):
		case root:
			add(dir, mountAt(mounts, dir))
			for _, m := range below(dir) {
				add(m.path, m)
			}
		case dir == "/dev": // devices cannot be opened through a user's overlay
			if isFolder("/dev/shm") {
				add("/dev/shm", mountAt(mounts, "/dev/shm"))
			}
		default:
			around(dir)
		}
	}
	if !root {
		for _, dir := range userFolders {
			if isFolder(dir) && len(below(dir)) == 0 && !slices.ContainsFunc(targets, func(t target) bool { return t.path == dir }) {
				add(dir, mountAt(mounts, dir))
			}
		}
	}
	slices.SortStableFunc(targets, func(a, b target) int { return comparePaths(a.path, b.path) })
	return targets
}

// comparePaths puts what is above before what is below.
func comparePaths(a, b string) int { return strings.Compare(a+"/", b+"/") }

// mountAt returns the mount that holds path.
func mountAt(mounts []mountPoint, path string) (at mountPoint) {
	for _, m := range mounts {
		if contains(m.path, path) && len(m.path) >= len(at.path) {
			at = m
		}
	}
	return at
}

// flags returns the flags of the covered mount that its cover keeps.
func (t target) flags() (flags uintptr) {
	for option := range strings.SplitSeq(t.options, ",") {
		switch option {
		case "nosuid":
			flags |= unix.MS_NOSUID
		case "nodev":
			flags |= unix.MS_NODEV
		case "noexec":
			flags |= unix.MS_NOEXEC
		}
	}
	return flags
}

func (t target) mount(scratch, name string, root bool) error {
	switch t.how {
	case bind:
		flags := uintptr(unix.MS_BIND)
		if t.deep {
			flags |= unix.MS_REC
		}
		return unix.Mount(fdPath(t.fd), t.path, "", flags, "")
	case empty:
		return unix.Mount("tmpfs", t.path, "tmpfs", t.flags(), "mode=1777")
	case file:
		data, err := os.ReadFile(fdPath(t.fd))
		if err != nil {
			return unix.Mount(fdPath(t.fd), t.path, "", unix.MS_BIND, "")
		}
		copied := filepath.Join(scratch, name)
		if err := os.WriteFile(copied, data, 0o600); err != nil {
			return err
		}
		if err := t.giveAttributes(copied); err != nil {
			return err
		}
		return unix.Mount(copied, t.path, "", unix.MS_BIND, "")
	}

	up, wk := filepath.Join(scratch, "u"+name), filepath.Join(scratch, "w"+name)
	for _, dir := range []string{up, wk} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	// The top of the overlay has the attributes of the upper directory.
	if err := t.giveAttributes(up); err != nil && root {
		return err
	}
	options := "lowerdir=" + fdPath(t.fd) + ",upperdir=" + up + ",workdir=" + wk
	// With redirect_dir, directories of the machine can be renamed; with
	// userxattr, an ordinary user can replace them. Old kernels know neither.
	extra := ",redirect_dir=on"
	if !root {
		extra = ",userxattr"
	}
	err := unix.Mount("overlay", t.path, "overlay", t.flags(), options+extra)
	if errors.Is(err, unix.EINVAL) {
		err = unix.Mount("overlay", t.path, "overlay", t.flags(), options)
	}
	return err
}

func (t target) giveAttributes(path string) error {
	var st unix.Stat_t
	if err := unix.Fstat(t.fd, &st); err != nil {
		return err
	}
	err := os.Lchown(path, int(st.Uid), int(st.Gid))
	return errors.Join(err, unix.Chmod(path, st.Mode&0o7777))
}

// readMounts returns the mounts that can be reached, those above before those
// below, and the last of those at the same place.
func readMounts() ([]mountPoint, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("reading the mounts: %w", err)
	}
	at := make(map[string]mountPoint)
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		dash := slices.Index(fields, "-")
		if len(fields) < 6 || dash < 0 || dash+1 >= len(fields) {
			continue
		}
		path := unescape(fields[4])
		at[path] = mountPoint{path: path, options: fields[5], fstype: fields[dash+1]}
	}
	mounts := make([]mountPoint, 0, len(at))
	for _, m := range at {
		mounts = append(mounts, m)
	}
	slices.SortFunc(mounts, func(a, b mountPoint) int { return strings.Compare(a.path+"/", b.path+"/") })
	return mounts, nil
}

// unescape turns the octal escapes of mountinfo into what they stand for.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
