// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/marks"
	"github.com/falcotest/go-falcotest/internal/scenario"
)

// failure is what ends a test: what went wrong, and where it stands.
type failure struct {
	place string
	err   error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// player does what one test says, in the last process of its chain.
type player struct {
	*Play
	marks    marks.Marks
	values   map[string]any // number or text, by name.field in lower case
	cleanups []func()
	failed   bool  // the last command of the script before
	keep     []any // memory that the kernel was given

	standing atomic.Pointer[string] // what it is doing, and where that stands
}

// patience is how long a test is left alone before it may be asked where it stands.
const patience = 200 * time.Millisecond

// at says what is done from now on, and where in the file it stands.
func (pl *player) at(place, what string) {
	if place != "" {
		what += " at " + place
	}
	pl.standing.Store(&what)
}

// answer waits for the question where the test stands, and answers it. What is done
// with that descriptor is not judged.
func (pl *player) answer() {
	var order Order
	if err := Receive(ControlFD, &order); err == nil && order.Where {
		_ = Send(ControlFD, &Report{At: *pl.standing.Load()})
	}
}

// play does everything and says how it went.
func (p *Play) play(marks marks.Marks) *Report {
	pl := &player{Play: p, marks: marks, values: map[string]any{}}
	unix.CloseOnExec(ControlFD)
	var err error
	if p.Exact {
		if err = exact(p.Launch.Capabilities); err != nil {
			err = fmt.Errorf("setting the capabilities of the process: %w", err)
		}
	}
	if err == nil {
		pl.at("", "beginning")
		asked := time.AfterFunc(patience, pl.answer)
		marks.Begin(ControlFD, ControlFD)
		err = pl.all()
		marks.End()
		asked.Stop()
	}
	for i := len(pl.cleanups) - 1; i >= 0; i-- {
		pl.cleanups[i]()
	}
	r := &Report{Done: true}
	var f *failure
	if errors.As(err, &f) {
		r.Place = f.place
	}
	switch {
	case err == nil:
	case errors.Is(err, unix.ENOSYS):
		r.Skip = "this machine's kernel lacks a system call, or a filter denies it: " + err.Error()
	case !p.Root && !p.Hermetic && pl.failed:
		r.Skip = "needs root, or folders that vanish with the test: the script before failed, and then: " + err.Error()
	case !p.Root && (errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)):
		r.Skip = "needs root: " + err.Error()
	case !p.Root && errors.Is(err, unix.EXDEV):
		r.Skip = "needs root, for whom all folders are one file system: " + err.Error()
	default:
		r.Failure = err.Error()
	}
	return r
}

func (pl *player) all() error {
	pl.at(pl.Scenario.BeforePlace, "the script before")
	script, err := pl.before()
	if err != nil {
		return &failure{pl.Scenario.BeforePlace, err}
	}
	defer func() {
		pl.at(pl.Scenario.AfterPlace, "the script after")
		pl.after(script)
	}()
	for i := range pl.Scenario.Resources {
		r := &pl.Scenario.Resources[i]
		pl.at(r.Place, "the resource "+r.Name)
		if err := pl.resource(r); err != nil {
			return &failure{r.Place, fmt.Errorf("making the resource %s: %w", r.Name, err)}
		}
	}
	for i := range pl.Scenario.Steps {
		s := &pl.Scenario.Steps[i]
		pl.at(s.Place, describe(s))
		if err := pl.step(s); err != nil {
			return &failure{s.Place, fmt.Errorf("doing the step %s: %w", s.Name, err)}
		}
	}
	return nil
}

// expose makes a value known to the steps that follow.
func (pl *player) expose(name, field string, value any) {
	pl.values[name+"."+plain(field)] = value
}

func plain(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "")) }

func (pl *player) bound(binding string) (any, error) {
	name, field, _ := strings.Cut(binding, ".")
	v, ok := pl.values[name+"."+plain(field)]
	if !ok {
		return nil, fmt.Errorf("${%s} has no value", binding)
	}
	return v, nil
}

func (pl *player) resource(r *scenario.Resource) error {
	switch {
	case r.ClientServer != nil:
		return pl.clientServer(r)
	case r.Process != nil:
		return pl.process(r)
	}
	if r.FD.Unopened {
		return pl.makeUnopened(r.FD)
	}
	if r.FD.Subtype == "pipe" {
		var fds [2]int
		if err := unix.Pipe2(fds[:], 0); err != nil {
			return named("pipe2", err)
		}
		pl.expose(r.Name, "readFd", int64(fds[0]))
		pl.expose(r.Name, "writeFd", int64(fds[1]))
		return nil
	}
	fd, err := pl.openFD(r.FD)
	if err != nil {
		return err
	}
	pl.expose(r.Name, "fd", int64(fd))
	return nil
}

// makeUnopened makes a file or a directory that is not there, and opens nothing: what a
// step opens is to be judged, and a real Falco judges all that this process does.
func (pl *player) makeUnopened(r *scenario.FDResource) (err error) {
	pl.marks.Aside(func() {
		if r.Subtype == "directory" {
			err = os.MkdirAll(r.Path, 0o755)
			return
		}
		if err = os.MkdirAll(path.Dir(r.Path), 0o755); err != nil {
			return
		}
		if err = unix.Mknod(r.Path, unix.S_IFREG|0o644, 0); errors.Is(err, unix.EEXIST) {
			err = nil
		}
	})
	return named("making "+r.Path, err)
}

func (pl *player) openFD(r *scenario.FDResource) (int, error) {
	switch r.Subtype {
	case "file":
		var err error
		flags := unix.O_RDWR
		pl.marks.Aside(func() {
			err = os.MkdirAll(path.Dir(r.Path), 0o755)
			if _, err := os.Stat(r.Path); errors.Is(err, os.ErrNotExist) {
				flags |= unix.O_CREAT
			}
		})
		if err != nil {
			return -1, err
		}
		fd, err := unix.Open(r.Path, flags, 0o644)
		if errors.Is(err, unix.EACCES) && flags&unix.O_CREAT == 0 {
			fd, err = unix.Open(r.Path, unix.O_RDONLY, 0)
		}
		return fd, named("opening "+r.Path, err)
	case "directory":
		var err error
		pl.marks.Aside(func() { err = os.MkdirAll(r.Path, 0o755) })
		if err != nil {
			return -1, err
		}
		fd, err := unix.Open(r.Path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
		return fd, named("opening "+r.Path, err)
	case "event":
		fd, err := unix.Eventfd(0, 0)
		return fd, named("eventfd2", err)
	case "signalfd":
		fd, err := unix.Signalfd(-1, &unix.Sigset_t{}, 0)
		return fd, named("signalfd4", err)
	case "eventpoll":
		fd, err := unix.EpollCreate1(0)
		return fd, named("epoll_create1", err)
	case "inotify":
		fd, err := unix.InotifyInit1(0)
		return fd, named("inotify_init1", err)
	case "memfd":
		fd, err := unix.MemfdCreate(r.Path, 0)
		return fd, named("memfd_create", err)
	}
	return -1, fmt.Errorf("there is no descriptor of %s", r.Subtype)
}

// named adds what was tried and the name of the error.
func named(what string, err error) error {
	if err == nil {
		return nil
	}
	var errno unix.Errno
	if errors.As(err, &errno) {
		return fmt.Errorf("%s: %w (%s)", what, err, unix.ErrnoName(errno))
	}
	return fmt.Errorf("%s: %w", what, err)
}

func (pl *player) clientServer(r *scenario.Resource) error {
	domain, kind := unix.AF_UNIX, unix.SOCK_STREAM
	switch r.ClientServer.Proto[3:] {
	case "4":
		domain = unix.AF_INET
	case "6":
		domain = unix.AF_INET6
	}
	if strings.HasPrefix(r.ClientServer.Proto, "udp") {
		kind = unix.SOCK_DGRAM
	}
	address, to := r.ClientServer.Address, r.ClientServer.Raw
	server, err := unix.Socket(domain, kind, 0)
	if err != nil {
		return named("socket", err)
	}
	if domain != unix.AF_UNIX {
		pl.marks.Aside(func() { _ = unix.SetsockoptInt(server, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) })
	}
	if err := withAddress(unix.SYS_BIND, server, to); err != nil {
		return named("binding the server to "+address, err)
	}
	client, err := unix.Socket(domain, kind, 0)
	if err != nil {
		return named("socket", err)
	}
	if kind == unix.SOCK_STREAM {
		if err := unix.Listen(server, unix.SOMAXCONN); err != nil {
			return named("listen", err)
		}
		if err := withAddress(unix.SYS_CONNECT, client, to); err != nil {
			return named("connecting the client to "+address, err)
		}
	}
	pl.expose(r.Name, "client.fd", int64(client))
	pl.expose(r.Name, "server.fd", int64(server))
	return nil
}

// withAddress makes a system call that takes a socket and an address.
func withAddress(nr uintptr, fd int, address []byte) error {
	if _, _, errno := unix.Syscall(nr, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(address))), uintptr(len(address))); errno != 0 {
		return errno
	}
	return nil
}

// process starts a process that waits until the end of the test.
func (pl *player) process(r *scenario.Resource) error {
	l := pl.Executables[r.Name]
	path := l.Path
	if r.FileLess {
		fd, err := unix.MemfdCreate(r.Name, 0)
		if err != nil {
			return named("memfd_create", err)
		}
		if _, err := unix.Write(fd, Waiting()); err != nil {
			return named("writing a program to memory", err)
		}
		path = fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), fd)
		if l.Path != "" { // executed by a link, it has the link's name
			pl.marks.Aside(func() { err = os.Symlink(path, l.Path) })
			if err != nil {
				return err
			}
			path = l.Path
		}
	}
	var null, ready, running *os.File
	var err error
	pl.marks.Aside(func() {
		if null, err = os.Open(os.DevNull); err == nil {
			ready, running, err = os.Pipe()
		}
	})
	if err != nil {
		return err
	}
	proc, err := os.StartProcess(path, l.Argv, &os.ProcAttr{Env: inherited(l.Env...), Files: []*os.File{null, os.Stderr, os.Stderr, running}})
	pl.marks.Aside(func() {
		running.Close()
		if err == nil {
			// Until it runs, it could be killed before anyone is told that it
			// was executed.
			ready.Read(make([]byte, 1))
		}
		ready.Close()
		null.Close()
	})
	if err != nil {
		return err
	}
	pl.cleanups = append(pl.cleanups, func() {
		proc.Kill()
		proc.Wait()
	})
	pl.expose(r.Name, "pid", int64(proc.Pid))
	return nil
}

// describe says which step it is, and what it waits for.
func describe(s *scenario.Step) string {
	switch {
	case s.Call != nil:
		return "the step " + s.Name + " (the system call " + s.Call.Name + ")"
	case s.Command != nil:
		return "the step " + s.Name + " (the program " + s.Command.Program + ")"
	}
	return "the step " + s.Name
}

func (pl *player) step(s *scenario.Step) error {
	switch {
	case s.Call != nil:
		return pl.call(s)
	case s.Command != nil:
		return pl.command(s.Command)
	case s.Write != nil:
		return pl.write(s.Write)
	case s.Sleep > 0:
		time.Sleep(s.Sleep)
		return nil
	}
	return errors.New("there is nothing to do")
}

func (pl *player) write(w *scenario.Write) error {
	var err error
	pl.marks.Aside(func() { err = os.MkdirAll(path.Dir(w.Path), 0o755) })
	if err != nil {
		return err
	}
	flags := unix.O_WRONLY | unix.O_CREAT | unix.O_CLOEXEC
	if w.Append {
		flags |= unix.O_APPEND
	} else {
		flags |= unix.O_TRUNC
	}
	fd, err := unix.Open(w.Path, flags, uint32(w.Mode))
	if err != nil {
		return named("opening "+w.Path, err)
	}
	defer unix.Close(fd)
	for data := []byte(w.Content); len(data) > 0; {
		n, err := unix.Write(fd, data)
		if err != nil {
			return named("writing "+w.Path, err)
		}
		data = data[n:]
	}
	return nil
}
