// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package trace_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/marks"
	"github.com/falcotest/go-falcotest/internal/trace"
)

func init() {
	tracees["memfd"] = func(args []string) {
		prog, err := os.Open("/bin/true")
		if err != nil {
			os.Exit(1)
		}
		fd, err := unix.MemfdCreate("program", unix.MFD_CLOEXEC)
		if err != nil {
			os.Exit(1)
		}
		mem := os.NewFile(uintptr(fd), "program")
		if _, err := io.Copy(mem, prog); err != nil {
			os.Exit(1)
		}
		argv, _ := syscall.SlicePtrFromStrings([]string{"hidden", "arg"})
		envp, _ := syscall.SlicePtrFromStrings([]string{"A=1"})
		raw(unix.SYS_EXECVEAT, uintptr(fd), cstr(""), ptr(argv), ptr(envp), unix.AT_EMPTY_PATH)
		os.Exit(1)
	}
	tracees["setuid"] = func([]string) {
		unix.Openat(unix.AT_FDCWD, "/before", 0, 0)
		if err := syscall.Setgid(1); err != nil {
			os.Exit(1)
		}
		if err := syscall.Setuid(65534); err != nil {
			os.Exit(1)
		}
		unix.Openat(unix.AT_FDCWD, "/after", 0, 0)
	}
	tracees["orphan"] = func([]string) {
		// /proc/PID goes away after the children have a new parent.
		cmd := exec.Command("/bin/sh", "-c", fmt.Sprintf("while [ -d /proc/%d ]; do :; done; : < /dev/zero", os.Getpid()))
		if err := cmd.Start(); err != nil {
			os.Exit(1)
		}
	}
	tracees["as nobody"] = func(args []string) {
		if err := syscall.Setuid(65534); err != nil {
			os.Exit(1)
		}
		fmt.Fprintln(os.Stderr, syscall.Exec(args[0], args, os.Environ()))
		os.Exit(1)
	}
	tracees["namespaces"] = func([]string) {
		cmd := exec.Command("/bin/sh", "-c", ": < /dev/null; /bin/true")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
		if err := cmd.Run(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(33)
		}
	}
	tracees["overlay"] = func(args []string) {
		dir := args[0]
		fail := func(err error) {
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(33)
			}
		}
		fail(unix.Unshare(unix.CLONE_NEWNS))
		fail(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
		fail(unix.Mount("tmpfs", dir, "tmpfs", 0, ""))
		for _, name := range []string{"lower", "upper", "work", "merged"} {
			fail(os.Mkdir(dir+"/"+name, 0o755))
		}
		fail(os.WriteFile(dir+"/lower/old", nil, 0o644))
		data, err := os.ReadFile("/bin/true")
		fail(err)
		fail(os.WriteFile(dir+"/lower/prog", data, 0o755))
		fail(unix.Mount("overlay", dir+"/merged", "overlay", 0,
			"lowerdir="+dir+"/lower,upperdir="+dir+"/upper,workdir="+dir+"/work"))
		fail(os.WriteFile(dir+"/merged/new", nil, 0o644))
		fail(os.WriteFile(dir+"/merged/copy", data, 0o755))
		for _, name := range []string{"old", "new"} {
			unix.Openat(unix.AT_FDCWD, dir+"/merged/"+name, unix.O_RDONLY, 0)
		}
		fail(exec.Command(dir + "/merged/prog").Run())
		fail(exec.Command(dir + "/merged/copy").Run())
	}
}

// ptr is the address of an array of strings, as execve takes it.
func ptr(list []*byte) uintptr {
	kept = append(kept, list...)
	keptLists = append(keptLists, list)
	return uintptr(unsafe.Pointer(&list[0]))
}

var keptLists [][]*byte

// shell traces a shell script.
func shell(t *testing.T, names, script string) []*event.Event {
	t.Helper()
	return record(t, strings.Fields(names), "exec", "sh", "-c", script)
}

func only(events []*event.Event, typ event.Type, comm string) (list []*event.Event) {
	for _, e := range events {
		if e.Type == typ && e.Thread.Process.Comm == comm {
			list = append(list, e)
		}
	}
	return list
}

func TestExecState(t *testing.T) {
	t.Setenv("FALCOTEST_STATE", "some value")
	begin := time.Now().UnixNano()
	events := shell(t, "execve", "cd /usr; exec /bin/cat - /dev/null </dev/null")
	execs := only(events, event.SysExecve, "cat")
	if len(execs) != 1 {
		t.Fatalf("got %d execs of cat", len(execs))
	}
	e := execs[0]
	p := e.Thread.Process
	exe, err := filepath.EvalSymlinks("/bin/cat")
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(exe, &st); err != nil {
		t.Fatal(err)
	}
	check := func(what string, got, want any) {
		t.Helper()
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	check("exe", p.Exe, "/bin/cat")
	check("args", p.Args, []string{"-", "/dev/null"})
	check("exepath", p.ExePath, exe)
	check("inode", p.ExeIno, st.Ino)
	check("ctime", p.ExeCtime, st.Ctim.Nano())
	check("mtime", p.ExeMtime, st.Mtim.Nano())
	check("cwd", p.Cwd, "/usr")
	check("the environment has the variable", slices.Contains(p.Env, "FALCOTEST_STATE=some value"), true)
	check("euid", p.UID, os.Geteuid())
	check("egid", p.GID, os.Getegid())
	check("parent", p.Parent.PID, os.Getpid())
	check("ppid", p.PPID, os.Getpid())
	check("sid", p.SID, must(unix.Getsid(0)))
	check("pgid", p.PGID, unix.Getpgrp())
	check("vpid", p.VPID, p.PID)
	check("threads", p.Threads, 1)
	check("from memfd", p.ExeFromMemfd, false)
	check("writable", p.ExeWritable, os.Geteuid() == 0)
	check("cgroups", len(p.Cgroups), 5)
	if p.StartTime < begin || p.StartTime > time.Now().UnixNano() {
		t.Errorf("started at %d", p.StartTime)
	}
	if p.CloneTime > p.StartTime || p.CloneTime < begin-int64(time.Minute) {
		t.Errorf("cloned at %d, began at %d", p.CloneTime, begin)
	}
	last := p
	for last.Parent != nil {
		last = last.Parent
	}
	if last.PPID != 0 {
		t.Errorf("the oldest known ancestor is %d, a child of %d", last.PID, last.PPID)
	}
	filename := e.Params[30]
	check("filename", filename.Str, "/bin/cat")
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestMemfdExec(t *testing.T) {
	events := record(t, []string{"execve", "memfd_create"}, "memfd")
	var e *event.Event
	for _, e = range events {
	}
	if e == nil || e.Type != event.SysExecve || e.Ret != 0 {
		t.Fatalf("got %d events", len(events))
	}
	p := e.Thread.Process
	if !p.ExeFromMemfd || p.ExePath != "memfd:program" || p.Exe != "hidden" || len(p.Env) != 1 {
		t.Errorf("from memfd %v, exepath %q, exe %q, environment %q", p.ExeFromMemfd, p.ExePath, p.Exe, p.Env)
	}
	if e.Params[19].Num&4 == 0 {
		t.Errorf("exe flags %d", e.Params[19].Num)
	}
}

func TestSetuid(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("changing the user needs root")
	}
	events := record(t, []string{"openat", "setuid"}, "setuid")
	uid := make(map[string]uint32)
	for _, e := range events {
		if e.Type == event.SysOpenat {
			uid[e.Params[2].Str] = e.Thread.Process.UID
		}
		if e.Type == event.SysSetuid && (e.Params[1].Num != 65534 || e.Thread.Process.UID != 65534) {
			t.Errorf("setuid(%d), then %d", e.Params[1].Num, e.Thread.Process.UID)
		}
	}
	if uid["/before"] != 0 || uid["/after"] != 65534 {
		t.Errorf("got users %v", uid)
	}
}

func TestSetuidProgram(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("an unprivileged tracer makes the kernel ignore the set-user-ID bit")
	}
	dir := t.TempDir()
	for d := dir; d != "/"; d = filepath.Dir(d) {
		if st, err := os.Stat(d); err == nil && st.Mode()&0o005 != 0o005 {
			os.Chmod(d, st.Mode()|0o055) // go's own directories below /tmp
		}
		if filepath.Dir(d) == os.TempDir() {
			break
		}
	}
	prog := filepath.Join(dir, "id")
	data, err := os.ReadFile("/usr/bin/id")
	if err != nil {
		t.Skip(err)
	}
	if err := os.WriteFile(prog, data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(prog, os.ModeSetuid|0o755); err != nil {
		t.Fatal(err)
	}
	events := record(t, []string{"execve"}, "as nobody", prog, "-u")
	var last *event.Event
	for _, last = range events {
	}
	if last == nil || last.Thread.Process.UID != 0 {
		t.Errorf("got %d events", len(events))
	}
}

func TestNamespaces(t *testing.T) {
	if err := exec.Command("unshare", "-Ur", "true").Run(); err != nil {
		t.Skipf("no user namespaces here: %v", err)
	}
	events := record(t, []string{"execve", "clone", "clone3", "openat", "open"}, "namespaces")
	sh := only(events, event.SysExecve, "sh")
	if len(sh) != 1 {
		t.Fatalf("got %d execs of sh", len(sh))
	}
	p := sh[0].Thread.Process
	if p.VPID != 1 || p.PID == 1 || p.PID != sh[0].Params[4].Num || p.Parent.VPID == 1 {
		t.Errorf("pid %d, vpid %d", p.PID, p.VPID)
	}
	if got := only(opensOf(events, "/dev/null"), event.SysOpenat, "sh"); len(got) != 1 {
		t.Errorf("the open in the namespace was seen %d times", len(got))
	}
	children := only(events, event.SysExecve, "true")
	if len(children) != 1 {
		t.Fatalf("got %d execs of true", len(children))
	}
	if c := children[0].Thread.Process; c.VPID <= 1 || c.PidnsInitStart != p.CloneTime || c.PidnsInode != p.PidnsInode {
		t.Errorf("child has vpid %d, init started at %d, want %d", c.VPID, c.PidnsInitStart, p.CloneTime)
	}
}

func TestOverlay(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting an overlay needs root")
	}
	dir := t.TempDir()
	var events []*event.Event
	tr := attach(t, context.Background(), trace.Options{
		Types:   types(t, "openat", "execve"),
		Handler: func(e *event.Event) { events = append(events, e.Clone()) },
	}, "overlay", dir)
	tr.open()
	if exit, err := tr.Wait(); err != nil || exit.Code == 33 {
		text, _ := os.ReadFile(tr.out)
		t.Skipf("no overlay can be mounted here: %s %v", text, err)
	}
	layers := make(map[string]string)
	layer := func(upper, lower bool) string { return fmt.Sprint(upper, lower) }
	for _, e := range events {
		if e.FD != nil && strings.HasPrefix(e.FD.Name, dir+"/merged/") && e.FD.Flags&4 == 0 {
			layers[filepath.Base(e.FD.Name)] = layer(e.FD.UpperLayer, e.FD.LowerLayer)
		}
		if p := e.Thread.Process; e.Type == event.SysExecve && strings.HasPrefix(p.ExePath, dir) {
			layers[filepath.Base(p.ExePath)] = layer(p.ExeUpperLayer, p.ExeLowerLayer)
		}
	}
	for name, want := range map[string]string{
		"old": layer(false, true), "new": layer(true, false), "prog": layer(false, true), "copy": layer(true, false),
	} {
		if layers[name] != want {
			t.Errorf("%s: upper and lower layer are %s, want %s", name, layers[name], want)
		}
	}
}

func TestForkState(t *testing.T) {
	dir := must(filepath.EvalSymlinks(t.TempDir()))
	events := shell(t, "fork clone vfork write procexit execve",
		fmt.Sprintf("cd %s; exec 7>out; (echo inside >&7; exit 3); (kill -9 $(exec sh -c 'echo $PPID')); true", dir))
	var parent, child int64
	for _, e := range events {
		name := e.Type.String()
		if (name == "fork" || name == "clone") && e.Thread.Process.Comm == "sh" {
			if e.Ret == 0 && child == 0 {
				child = e.Thread.Process.PID
			} else if e.Ret > 0 && parent == 0 {
				parent = e.Ret
			}
		}
	}
	if child == 0 || parent != child {
		t.Errorf("the parent made %d, the child is %d", parent, child)
	}
	wrote := false
	codes := make(map[int64]bool)
	sigs := make(map[int64]bool)
	for _, e := range events {
		if e.Type == event.SysWrite && e.Params[1].Str == "inside\n" {
			wrote = true
			if e.FD == nil || e.FD.Name != dir+"/out" || e.Thread.Process.PID != child {
				t.Errorf("wrote to %+v in process %d", e.FD, e.Thread.Process.PID)
			}
		}
		if e.Type == event.EvtProcexit {
			codes[e.Params[1].Num] = true
			sigs[e.Params[2].Num] = true
		}
	}
	if !wrote {
		t.Error("the write was not seen")
	}
	if !codes[3] || !sigs[9] {
		t.Errorf("ends of processes: codes %v, signals %v", codes, sigs)
	}
}

func TestOrphan(t *testing.T) {
	events := record(t, []string{"openat", "open"}, "orphan")
	opens := opensOf(events, "/dev/zero")
	if len(opens) != 1 {
		t.Fatalf("the orphan opened %d times", len(opens))
	}
	if p := opens[0].Thread.Process; p.Parent == nil || p.Parent.Comm == "trace.test" || p.PPID != p.Parent.PID {
		t.Errorf("the orphan's parent is %+v", p.Parent)
	}
}

func TestAttachErrors(t *testing.T) {
	needTracing(t)
	if _, err := trace.Attach(context.Background(), 1<<30, trace.Options{}); err == nil || !strings.Contains(err.Error(), "attaching to process") {
		t.Errorf("got %v", err)
	}
	if os.Geteuid() != 0 {
		if _, err := trace.Attach(context.Background(), 1, trace.Options{}); err == nil {
			t.Error("attached to pid 1")
		}
	}
	if err := marks.InstallFilter([]byte("short")); err == nil {
		t.Error("installed a filter that is none")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := trace.Attach(ctx, os.Getpid(), trace.Options{}); err == nil {
		t.Error("attached with a context that has ended")
	}
}

// That a process was killed before it could be traced is no want of permission, for
// which tests are skipped.
func TestAttachToOneThatEnded(t *testing.T) {
	needTracing(t)
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var info unix.Siginfo
	for {
		if err := unix.Waitid(unix.P_PID, cmd.Process.Pid, &info, unix.WEXITED|unix.WNOWAIT, nil); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if _, err := trace.Attach(t.Context(), cmd.Process.Pid, trace.Options{}); !errors.Is(err, unix.ESRCH) {
		t.Errorf("got %v, want ESRCH", err)
	}
}

func TestAllCalls(t *testing.T) {
	name := filepath.Join(t.TempDir(), "none")
	var events []*event.Event
	tr := attach(t, context.Background(), trace.Options{
		Types: types(t, "openat", "execve"), AllCalls: true,
		Handler: func(e *event.Event) { events = append(events, e.Clone()) },
	}, "exec", "sh", "-c", ": < "+name+"; true")
	tr.prog = nil // without a filter
	tr.open()
	if exit, err := tr.Wait(); err != nil || exit.Signal != 0 {
		t.Fatal(exit, err)
	}
	if len(opensOf(events, name)) != 1 || len(only(events, event.SysExecve, "sh")) != 1 {
		t.Errorf("saw %d opens, %d execs", len(opensOf(events, name)), len(only(events, event.SysExecve, "sh")))
	}
}

// TestEveryType traces a program with every event there is, so that each call
// that it makes is decoded.
func TestEveryType(t *testing.T) {
	var names []string
	for typ := event.None + 1; typ < event.NumTypes; typ++ {
		names = append(names, typ.String())
	}
	events := record(t, names, "exec", "sh", "-c", "ls -l / | sort >/dev/null; cat /proc/self/status >/dev/null; true")
	seen := make(map[event.Type]int)
	for _, e := range events {
		seen[e.Type]++
		if n := len(e.Type.Def().Params); len(e.Params) != n {
			t.Fatalf("%s has %d parameters, want %d", e.Type, len(e.Params), n)
		}
		_ = e.Args()
	}
	for _, typ := range []event.Type{event.SysExecve, event.SysMmap, event.SysClose, event.SysRead, event.SysWrite, event.EvtProcexit} {
		if seen[typ] == 0 {
			t.Errorf("no %s was seen", typ)
		}
	}
}
