// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package trace

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/procstat"
)

// procPath builds "/proc/PID/NAME" in a buffer of the tracer's; the result is
// valid until the next call.
func (t *tracer) procPath(pid int64, name string) []byte {
	b := append(t.path[:0], "/proc/"...)
	b = strconv.AppendInt(b, pid, 10)
	b = append(b, '/')
	b = append(b, name...)
	t.path = b
	return b
}

// fdPath builds "/proc/PID/fd/NUM".
func (t *tracer) fdPath(pid int64, num int64) string {
	b := append(t.procPath(pid, "fd/"), strconv.FormatInt(num, 10)...)
	t.path = b
	return string(b)
}

// readProc reads a file of a process, or of the system when pid is 0. The
// result is valid until the next call; it is empty when there is no such file.
func (t *tracer) readProc(pid int64, name string) []byte {
	path := "/proc/" + name
	if pid != 0 {
		path = string(t.procPath(pid, name))
	}
	b, _ := t.readFile(path)
	return b
}

func (t *tracer) readFile(path string) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	b := t.file[:0]
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := unix.Read(fd, b[len(b):cap(b)])
		if err == unix.EINTR {
			continue
		}
		if n <= 0 {
			break
		}
		b = b[:len(b)+n]
	}
	t.file = b[:0]
	return b, nil
}

// readLink reads a link of a process: cwd, exe, root, fd/3, ns/pid. It is empty
// when there is none.
func (t *tracer) readLink(pid int64, name string) (string, error) {
	var buf [maxPath]byte
	n, err := unix.Readlink(string(t.procPath(pid, name)), buf[:])
	if err != nil || n <= 0 {
		return "", err
	}
	return t.intern(buf[:n]), nil
}

// readMember reads a link into a member of a process, which is not known when
// the link may not be read.
func (t *tracer) readMember(p *process, name string, member *string, unknown *event.Unknown) {
	link, err := t.readLink(p.PID, name)
	*member, *unknown = link, event.Known
	if forbidden(err) {
		*unknown = event.UnknownProc
	}
}

func (t *tracer) readCwd(p *process) { t.readMember(p, "cwd", &p.Cwd, &p.Unknown.Cwd) }

// stat is what /proc/PID/stat tells, with a State of 0 where it cannot be read.
func (t *tracer) stat(tid int64) procstat.Stat {
	st, err := procstat.Parse(t.readProc(tid, "stat"))
	if err != nil {
		return procstat.Stat{}
	}
	return st
}

// procStatus is what /proc/PID/status tells.
type procStatus struct {
	tgid, ppid             int64
	euid, fsuid            uint32
	egid, fsgid            uint32
	groups                 []uint32
	vtid, vpid             int64
	vpgid, vsid            int64
	nsDepth                int // pid namespaces below the reader's
	threads                int
	vmSize, vmRSS, vmSwap  uint64
	capInh, capPrm, capEff uint64
	seccompFilters         int
	ok                     bool
}

func (t *tracer) status(tid int64) (st procStatus) {
	b := t.readProc(tid, "status")
	if len(b) == 0 {
		return st
	}
	st.ok = true
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(line, ":")
		f := strings.Fields(value)
		if len(f) == 0 {
			continue
		}
		num := func(i int) int64 { n, _ := strconv.ParseInt(f[i], 10, 64); return n }
		last := num(len(f) - 1)
		hex := func() uint64 { n, _ := strconv.ParseUint(f[0], 16, 64); return n }
		switch key {
		case "Tgid":
			st.tgid = last
		case "PPid":
			st.ppid = last
		case "Uid":
			st.euid, st.fsuid = uint32(num(1)), uint32(num(3))
		case "Gid":
			st.egid, st.fsgid = uint32(num(1)), uint32(num(3))
		case "Groups":
			for i := range f {
				st.groups = append(st.groups, uint32(num(i)))
			}
		case "NStgid":
			st.vpid, st.nsDepth = last, len(f)-1
		case "NSpid":
			st.vtid = last
		case "NSpgid":
			st.vpgid = last
		case "NSsid":
			st.vsid = last
		case "Threads":
			st.threads = int(last)
		case "VmSize":
			st.vmSize = uint64(num(0))
		case "VmRSS":
			st.vmRSS = uint64(num(0))
		case "VmSwap":
			st.vmSwap = uint64(num(0))
		case "CapInh":
			st.capInh = hex()
		case "CapPrm":
			st.capPrm = hex()
		case "CapEff":
			st.capEff = hex()
		case "Seccomp_filters":
			st.seccompFilters = int(last)
		}
	}
	return st
}

// splitStrings splits strings that end in zero bytes, with at most limit bytes
// in all, as Falco's driver cuts arguments and environments.
func (t *tracer) splitStrings(b []byte, limit int) []string {
	if len(b) > limit {
		b = b[:limit]
		b[limit-1] = 0
	}
	if len(b) == 0 {
		return nil
	}
	if b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	list := make([]string, 0, bytes.Count(b, []byte{0})+1)
	for {
		s, rest, more := bytes.Cut(b, []byte{0})
		list = append(list, t.intern(s))
		if !more {
			return list
		}
		b = rest
	}
}

// bootTime is when the system started, in nanoseconds since the epoch.
func bootTime() int64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return 0
	}
	return time.Now().UnixNano() - ts.Nano()
}

// tick is the unit of start times in /proc: USER_HZ is 100 on every processor
// that Go knows.
const tick = int64(time.Second / 100)

// readProcess reads all that /proc tells of a process into p.
func (t *tracer) readProcess(p *process, pid int64) bool {
	st := t.stat(pid)
	if st.State == 0 {
		return false
	}
	p.PID, p.PPID = pid, st.PPID
	p.parentTID = st.PPID
	p.CloneTime = t.boot + int64(st.Start)*tick
	p.StartTime = p.CloneTime
	p.FDs = make(map[int64]*event.FD)
	t.readIdentity(p)
	t.readImage(p)
	t.readCwd(p)
	t.readMember(p, "root", &p.Root, &p.Unknown.Root)
	return true
}

// readIdentity reads what does not depend on the program that runs: ids,
// sessions, capabilities, namespaces, cgroups.
func (t *tracer) readIdentity(p *process) procStatus {
	st := t.status(p.PID)
	if !st.ok {
		return st
	}
	p.VPID, p.VSID, p.VPGID = st.vpid, st.vsid, st.vpgid
	p.Threads = st.threads
	t.setCreds(p, &st)
	p.VMSize, p.VMRSS, p.VMSwap = st.vmSize, st.vmRSS, st.vmSwap
	p.nsDepth = st.nsDepth
	if stat := t.stat(p.PID); stat.State != 0 {
		p.SID, p.PGID = stat.Session, stat.PGID
		p.TTY = encodeDev(uint64(stat.TTY))
	}
	p.LoginUID = -1
	if n, err := strconv.ParseUint(string(bytes.TrimSpace(t.readProc(p.PID, "loginuid"))), 10, 32); err == nil && n != math.MaxUint32 {
		p.LoginUID = int64(n)
	}
	t.readPidns(p)
	t.readFDLimit(p)
	t.readCgroups(p)
	t.setPidnsStart(p)
	return st
}

func (t *tracer) setCreds(p *process, st *procStatus) {
	p.UID, p.fsuid = st.euid, st.fsuid
	p.GID, p.fsgid = st.egid, st.fsgid
	p.groups = st.groups
	p.CapInheritable, p.CapPermitted, p.CapEffective = st.capInh, st.capPrm, st.capEff
}

// encodeDev gives a device number the layout that Falco shows, in which the
// low 8 bits of the minor number come first. stat(2) and /proc use it too for
// numbers that fit 32 bits.
func encodeDev(dev uint64) uint32 {
	major, minor := unix.Major(dev), unix.Minor(dev)
	return minor&0xff | major<<8 | (minor&^0xff)<<12
}

// nsInode returns N of "pid:[N]".
func nsInode(link string) uint64 {
	_, s, _ := strings.Cut(link, "[")
	n, _ := strconv.ParseUint(strings.TrimSuffix(s, "]"), 10, 64)
	return n
}

// readPidns reads which PID namespace a process is in.
func (t *tracer) readPidns(p *process) {
	if link, err := t.readLink(p.PID, "ns/pid"); !forbidden(err) {
		p.PidnsInode = nsInode(link) // else that of its parent
	}
}

func (t *tracer) readFDLimit(p *process) {
	var lim unix.Rlimit
	err := unix.Prlimit(int(p.PID), unix.RLIMIT_NOFILE, nil, &lim)
	if p.FDLimit = int64(lim.Cur); err == nil {
		return
	}
	p.FDLimit = -1
	for line := range strings.Lines(string(t.readProc(p.PID, "limits"))) {
		if rest, ok := strings.CutPrefix(line, "Max open files"); ok {
			if f := strings.Fields(rest); len(f) > 0 {
				p.FDLimit, _ = strconv.ParseInt(f[0], 10, 64)
			}
		}
	}
}

// readImage reads what an exec replaces: the program, its arguments and its
// environment.
func (t *tracer) readImage(p *process) {
	pid := p.PID
	p.Comm = t.intern(bytes.TrimSuffix(t.readProc(pid, "comm"), []byte("\n")))
	args := t.splitStrings(t.readProc(pid, "cmdline"), maxPath)
	p.Exe, p.Args = "", nil
	if len(args) > 0 {
		p.Exe, p.Args = args[0], args[1:]
	}
	env, err := t.readFile(string(t.procPath(pid, "environ")))
	p.Env, p.Unknown.Env = t.splitStrings(env, math.MaxInt), event.Known
	if forbidden(err) {
		p.Unknown.Env = event.UnknownProc
	}
	t.readExe(p)
}

// readExe reads what is known of the executable file.
func (t *tracer) readExe(p *process) {
	p.ExePath, p.ExeIno, p.ExeCtime, p.ExeMtime = "", 0, 0, 0
	p.ExeFromMemfd, p.ExeWritable, p.ExeUpperLayer, p.ExeLowerLayer = false, false, false, false
	var link string
	t.readMember(p, "exe", &link, &p.Unknown.Exe)
	if link == "" {
		return
	}
	p.ExePath = strings.TrimSuffix(link, " (deleted)")
	exe := string(t.procPath(p.PID, "exe"))
	var st unix.Stat_t
	if unix.Stat(exe, &st) != nil {
		return
	}
	if st.Nlink == 0 && strings.HasPrefix(p.ExePath, "/memfd:") {
		p.ExeFromMemfd = true
		p.ExePath = strings.TrimPrefix(p.ExePath, "/")
	}
	p.ExeIno, p.ExeCtime, p.ExeMtime = st.Ino, st.Ctim.Nano(), st.Mtim.Nano()
	p.ExeWritable = t.exeWritable(p, exe, &st)
	p.ExeUpperLayer, p.ExeLowerLayer, p.Unknown.ExeLayer = t.overlayLayer(p.PID, exe, p.ExePath, &st)
}

// exeWritable tells whether the process may write its own program, by the
// rules that Falco's driver applies.
func (t *tracer) exeWritable(p *process, exe string, st *unix.Stat_t) bool {
	var fs unix.Statfs_t
	if unix.Statfs(exe, &fs) == nil && fs.Flags&unix.ST_RDONLY != 0 {
		return false
	}
	var stx unix.Statx_t
	if unix.Statx(unix.AT_FDCWD, exe, 0, unix.STATX_BASIC_STATS, &stx) == nil && stx.Attributes&unix.STATX_ATTR_IMMUTABLE != 0 {
		return false
	}
	if p.fsuid == st.Uid {
		return true
	}
	mode := st.Mode
	inGroup := p.fsgid == st.Gid
	for _, g := range p.groups {
		inGroup = inGroup || g == st.Gid
	}
	if inGroup {
		mode >>= 3
	}
	if mode&0o2 != 0 {
		return true
	}
	uidMapped := t.mapped(p.PID, "uid_map", st.Uid)
	if p.CapEffective&(1<<unix.CAP_DAC_OVERRIDE) != 0 && uidMapped && t.mapped(p.PID, "gid_map", st.Gid) {
		return true
	}
	return p.CapEffective&(1<<unix.CAP_FOWNER) != 0 && uidMapped
}

// mapped tells whether an id exists in the user namespace of a process.
func (t *tracer) mapped(pid int64, name string, id uint32) bool {
	for line := range strings.Lines(string(t.readProc(pid, name))) {
		f := strings.Fields(line)
		if len(f) != 3 {
			continue
		}
		lower, _ := strconv.ParseUint(f[1], 10, 32)
		count, _ := strconv.ParseUint(f[2], 10, 33)
		if uint64(id) >= lower && uint64(id) < lower+count {
			return true
		}
	}
	return false
}

// overlayLayer tells in which layer of an overlay file system a file lies;
// both are false elsewhere. Which one is decided by whether the file exists in
// the upper directory. Where that cannot be looked into, as in a container, a
// file that has changed since the container began is in the upper layer, and of
// others it is not known.
func (t *tracer) overlayLayer(pid int64, file, name string, st *unix.Stat_t) (upper, lower bool, unknown event.Unknown) {
	dev := uint64(st.Dev)
	overlay, known := t.overlays[dev]
	if !known {
		var fs unix.Statfs_t
		overlay = unix.Statfs(file, &fs) == nil && int64(fs.Type) == unix.OVERLAYFS_SUPER_MAGIC
		t.overlays[dev] = overlay
	}
	if !overlay {
		return false, false, event.Known
	}
	mountPoint, root, upperDir := t.overlayMount(pid, name)
	if upperDir == "" {
		return false, true, event.Known
	}
	rel := strings.TrimPrefix(name, mountPoint)
	for _, base := range []string{"", string(t.procPath(pid, "root"))} {
		var in unix.Stat_t
		if unix.Stat(base+upperDir, &in) != nil {
			continue
		}
		if unix.Lstat(base+upperDir+"/"+root+"/"+rel, &in) == nil {
			return true, false, event.Known
		}
		return false, true, event.Known
	}
	if t.contained && st.Ctim.Nano() > t.initStart+tick { // the start is told in ticks
		return true, false, event.Known
	}
	return false, false, event.UnknownLayer
}

// overlayMount finds the overlay mount that a path lies on.
func (t *tracer) overlayMount(pid int64, name string) (mountPoint, root, upperDir string) {
	for line := range strings.Lines(string(t.readProc(pid, "mountinfo"))) {
		f := strings.Fields(line)
		sep := -1
		for i, s := range f {
			if s == "-" {
				sep = i
				break
			}
		}
		if sep < 6 || len(f) < sep+4 || len(f[4]) < len(mountPoint) {
			continue
		}
		if f[4] != "/" && name != f[4] && !strings.HasPrefix(name, f[4]+"/") {
			continue
		}
		mountPoint, root, upperDir = f[4], f[3], ""
		if f[sep+1] != "overlay" {
			continue
		}
		for opt := range strings.SplitSeq(f[sep+3], ",") {
			if dir, ok := strings.CutPrefix(opt, "upperdir="); ok {
				upperDir = dir
			}
		}
	}
	return mountPoint, root, upperDir
}

// cgroupControllers are those that Falco reports, in its order.
var cgroupControllers = [...]string{"cpuset", "cpu", "cpuacct", "io", "memory"}

// readCgroups reads the control groups as Falco writes them, and the container
// that the first of their paths names which names one.
func (t *tracer) readCgroups(p *process) {
	b := t.readProc(p.PID, "cgroup")
	if string(b) == t.cgroupText && t.cgroupText != "" {
		p.Cgroups, p.Container = t.cgroupList, t.container
		return
	}
	text := string(b)
	v1 := make(map[string]string)
	v2 := "/"
	for line := range strings.Lines(text) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(f) != 3 {
			continue
		}
		if f[0] == "0" {
			v2 = f[2]
			continue
		}
		for name := range strings.SplitSeq(f[1], ",") {
			if name == "blkio" {
				name = "io"
			}
			v1[name] = f[2]
		}
	}
	list := make([]string, len(cgroupControllers))
	for i, name := range cgroupControllers {
		path, ok := v1[name]
		switch {
		case ok:
		case name == "cpuacct":
			path = "/" // has no place in version 2
		default:
			path = v2
		}
		list[i] = name + "=" + path
	}
	p.Cgroups, p.Container = list, t.opts.Here
	for _, group := range list {
		_, path, _ := strings.Cut(group, "=")
		if id, typ := event.ContainerID(path); id != "" {
			p.Container = t.containerByID(id, typ)
			break
		}
	}
	t.cgroupText, t.cgroupList, t.container = text, list, p.Container
}

func (t *tracer) containerByID(id, typ string) *event.Container {
	if c := t.containers[id]; c != nil {
		return c
	}
	var c *event.Container
	if t.opts.Container != nil {
		c = t.opts.Container(id)
	}
	if here := t.opts.Here; c == nil && here != nil {
		if here.FullID == id {
			return here
		}
		c = &event.Container{Type: typ, Unknown: event.UnknownEngine}
	}
	if c == nil {
		c = &event.Container{Type: typ}
	}
	if c.FullID == "" {
		c.FullID = id
	}
	if c.ID == "" {
		c.ID = id[:min(12, len(id))]
	}
	t.containers[id] = c
	return c
}
