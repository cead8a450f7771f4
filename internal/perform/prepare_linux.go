// SPDX-License-Identifier: Apache-2.0

package perform

import (
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/child/inside"
	"github.com/falcotest/go-falcotest/internal/hermetic"
	"github.com/falcotest/go-falcotest/internal/scenario"
	"github.com/falcotest/go-falcotest/internal/stage"
)

func init() {
	if inside.Program() == Program {
		inside.Begin()
		inside.Run(inside.Work{Program: prepare})
	}
}

// director runs one scenario.
type director struct {
	h           *inside.Process
	s           *scenario.Scenario
	network     bool
	addresses   []hermetic.Address
	sockets     map[string][]byte
	made        bool // in a container of its own
	root        bool
	inContainer bool
	temp        string
	granted     uint64 // capabilities

	user   *account      // of a process of the chain, other than root
	orders []stage.Order // for each process that the first is started by, and so on
	first  *stage.Launch
}

func skip(format string, args ...any) error {
	return &inside.Skip{Reason: fmt.Sprintf(format, args...)}
}

func prepare(p *inside.Process, _ string, data []byte) (func() error, error) {
	var request Request
	if err := json.Unmarshal(data, &request); err != nil || request.Scenario == nil {
		return nil, fmt.Errorf("reading the scenario: %w", err)
	}
	d := &director{
		h: p, s: request.Scenario, network: request.Network, addresses: request.Addresses, sockets: request.Sockets, made: request.Made,
		root: os.Geteuid() == 0, inContainer: request.InContainer, temp: os.TempDir(),
	}
	if err := d.prepare(); err != nil {
		if !d.root && (errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EPERM)) {
			err = skip("needs root: %v", err)
		}
		return nil, err
	}
	return d.run, nil
}

func (d *director) prepare() (err error) {
	if d.granted, err = stage.Granted(); err != nil {
		return err
	}
	if d.s.Before+d.s.After != "" {
		if _, err := stage.LookPath("bash"); err != nil {
			return skip("there is no bash for the scripts before and after: %v", err)
		}
	}
	if err := d.separate(); err != nil {
		return err
	}
	if err := d.resolve(); err != nil {
		return err
	}
	if err := d.addAddresses(); err != nil {
		return err
	}
	for _, path := range changedPaths(d.s) {
		if err := d.protect(path); err != nil {
			return err
		}
	}
	if err := d.chain(); err != nil {
		return err
	}
	return d.introduce()
}

// introduce starts a process of another user than root in a container, which
// waits until the container's end. A Falco reads a container's users from its
// /etc/passwd when it meets a process of a user whom it does not know, if that
// still lives then; and the test's may not.
func (d *director) introduce() error {
	if !d.made || d.user == nil {
		return nil
	}
	path := filepath.Join("/tmp", d.h.ID()+"-user")
	if err := d.waiting(path); err != nil {
		return fmt.Errorf("making the executable of a process that waits: %w", err)
	}
	ready, running, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ready.Close()
	_, err = os.StartProcess(path, []string{path}, &os.ProcAttr{
		Env: []string{}, Dir: "/", Files: []*os.File{nil, nil, nil, running},
		Sys: &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: d.user.uid, Gid: d.user.gid}},
	})
	running.Close()
	if err != nil {
		return fmt.Errorf("starting a process that waits: %w", err)
	}
	_, _ = ready.Read(make([]byte, 1)) // its end says that it runs
	return nil
}

// outliving are the calls that make what belongs to no process, but to a
// namespace.
var outliving = []string{"mq_open", "msgget", "semget", "shmget"}

// separate gives the scenario a namespace of its own for what would outlive it.
func (d *director) separate() error {
	for _, step := range d.s.Steps {
		if step.Call == nil || !slices.Contains(outliving, step.Call.Name) || d.made {
			continue
		}
		if err := unix.Unshare(unix.CLONE_NEWIPC); err != nil {
			return skip("%s makes what outlives the test, without an IPC namespace of its own: %v", step.Call.Name, err)
		}
		return nil
	}
	return nil
}

// addAddresses makes the addresses of the scenario.
func (d *director) addAddresses() error {
	foreign := slices.ContainsFunc(d.addresses, func(a hermetic.Address) bool { return !a.IsLoopback() })
	switch {
	case len(d.addresses) == 0:
		return nil
	case d.root && d.network:
		if err := hermetic.AddAddresses(d.addresses); err != nil {
			if errors.Is(err, unix.EPERM) {
				return skip("%v: the network namespace needs CAP_NET_ADMIN", err)
			}
			return err
		}
		return nil
	case hermetic.Active() && d.network:
		return nil // it was done while the process had the privileges
	case !foreign:
		return nil
	}
	_, why := hermetic.State()
	return skip("an address such as %s needs a network namespace of the test's own, and there is none: %s", d.addresses[0], why)
}

// vanishes tells whether a change at a path vanishes with the process.
func (d *director) vanishes(path string) bool {
	return d.inContainer || hermetic.Vanishes(path) || strings.HasPrefix(path, d.temp+"/")
}

// protect has what is about to be changed at a path put back afterwards.
func (d *director) protect(path string) error {
	if d.vanishes(path) {
		return nil
	}
	return put(d.h, path)
}

// chain prepares the processes of the chain, from the first to the last.
func (d *director) chain() error {
	names := &accounts{d: d}
	uid, gid := uint32(os.Geteuid()), uint32(os.Getegid())
	launches := make([]*stage.Launch, len(d.s.Processes))
	for i := range d.s.Processes {
		p := &d.s.Processes[i]
		last := i == len(d.s.Processes)-1
		l := &stage.Launch{Env: p.Env, Last: last}
		if p.User != "" {
			u, err := names.find(p.User)
			if err != nil {
				return err
			}
			if l.Other = u.uid != uid || u.gid != gid; l.Other {
				if !d.root {
					return skip("needs root: the process %s is to be run by the user %s", processName(p), p.User)
				}
				l.UID, l.GID = u.uid, u.gid
				if u.uid != 0 {
					l.Ambient = d.granted
					d.user = &u
				}
				uid, gid = u.uid, u.gid
			}
		}
		if p.Capabilities != "" && last {
			if err := d.capabilities(l, p.Capabilities); err != nil {
				return err
			}
		}
		l.First = last && (l.Other || l.Bounded)
		launches[i] = l
	}
	simple := d.programs(launches)
	// From the last on: each is started by a process that knows its place.
	for i := len(launches) - 1; i >= 0; i-- {
		p, l := &d.s.Processes[i], launches[i]
		folder := filepath.Join(d.temp, fmt.Sprint(i))
		if d.inContainer && l.Other {
			// On the container's own file system, of which a copy is in the
			// upper layer, and not in what is mounted for temporary files.
			folder = filepath.Join("/tmp", d.h.ID()+"-"+fmt.Sprint(i))
		}
		path, argv0, err := d.place(folder, p, "falcotest-process", func(path string, direct bool) error {
			if simple[i] != nil {
				return d.program(path, direct, folder, simple[i]())
			}
			return d.executable(path, direct, d.inContainer && l.Other)
		})
		if err != nil {
			return fmt.Errorf("making the executable of the process %s: %w", processName(p), err)
		}
		l.Path, l.Argv = path, append([]string{argv0}, p.Args...)
	}
	play := &stage.Play{Scenario: *d.s, Temp: d.temp, Root: d.root, Hermetic: hermetic.Active(), Executables: map[string]stage.Launch{}}
	play.Scenario.Processes = nil
	for i := range d.s.Resources {
		r := &d.s.Resources[i]
		if r.Process == nil {
			continue
		}
		path, argv0, err := d.place(filepath.Join(d.temp, "resource-"+fmt.Sprint(i)), r.Process, "falcotest-waiting", func(path string, _ bool) error {
			if r.FileLess {
				return nil
			}
			return d.waiting(path)
		})
		if err != nil {
			return fmt.Errorf("making the executable of the resource %s: %w", r.Name, err)
		}
		if r.FileLess && r.Process.Name == "" {
			path = ""
		} else if r.FileLess {
			os.Remove(path) // the link is made to the file in memory
		}
		play.Executables[r.Name] = stage.Launch{Path: path, Argv: append([]string{argv0}, r.Process.Args...), Env: r.Process.Env}
	}
	leaf := launches[len(launches)-1]
	play.Launch = *leaf
	play.Exact = leaf.Bounded
	d.first = launches[0]
	for i, l := range launches {
		if l.First {
			d.orders = append(d.orders, stage.Order{Become: l})
		}
		order := stage.Order{Play: play}
		switch {
		case simple[i] != nil && l.Last:
			continue
		case simple[i] != nil:
			order = stage.Order{}
		case !l.Last:
			order = stage.Order{Start: launches[i+1]}
		}
		d.orders = append(d.orders, order)
	}
	return nil
}

// programs are of those processes of the chain that have little to do, and need not
// be this executable: they start the next one as they are, or do nothing.
func (d *director) programs(launches []*stage.Launch) []func() []byte {
	programs := make([]func() []byte, len(launches))
	if !stage.HasMachineCode || d.inContainer {
		// In a container a file of its own would be on the upper layer, which rules
		// ask about.
		return programs
	}
	env, paths := os.Environ(), 0
	for i := range d.s.Processes {
		if d.s.Processes[i].ExePath != "" {
			paths++
		}
	}
	for i, l := range launches {
		env = l.Environ(env)
		switch own := env; {
		case l.First:
		case d.s.Processes[i].ExePath != "" && paths > 1: // which may be one file
		case !l.Last:
			if next := launches[i+1]; !next.Other && !next.First {
				programs[i] = func() []byte { return next.Starting(own) }
			}
		case len(d.s.Steps)+len(d.s.Resources) == 0 && d.s.Before+d.s.After == "":
			programs[i] = stage.Ending
		}
	}
	return programs
}

func processName(p *scenario.Process) string {
	for _, s := range []string{p.Name, p.ExePath, p.Exe} {
		if s != "" {
			return s
		}
	}
	return "of the test"
}

// capabilities has the last process keep no others than these.
func (d *director) capabilities(l *stage.Launch, text string) error {
	all, _ := scenario.ParseCapabilities(scenario.AllCapabilities)
	c, err := scenario.ParseCapabilities(text)
	if err != nil || c == all {
		return err
	}
	if !d.root {
		return skip("needs root: the last process is to have the capabilities %s", text)
	}
	if c.Required&^d.granted != 0 {
		return skip("the machine does not grant all of the capabilities %s", text)
	}
	l.Bounded, l.Capabilities = true, c
	return nil
}

// place makes the executable of a process by make, and returns the path by
// which it is executed and its argv[0].
func (d *director) place(dir string, p *scenario.Process, base string, make func(path string, direct bool) error) (path, argv0 string, err error) {
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", "", err
	}
	path = p.ExePath
	if path == "" {
		path = filepath.Join(dir, base)
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", "", err
	}
	if err := make(path, p.ExePath == ""); err != nil {
		return "", "", err
	}
	// A process is called by the name by which it was executed, whatever that
	// leads to.
	if p.Name != "" && p.Name != filepath.Base(path) {
		link := filepath.Join(dir, p.Name)
		if err := os.Symlink(path, link); err != nil {
			return "", "", err
		}
		path = link
	}
	argv0 = p.Exe
	if argv0 == "" {
		argv0 = filepath.Base(path)
	}
	return path, argv0, nil
}

// executable puts this executable at a path. In a container a copy, other than
// a mount, is on the upper layer, which rules ask about.
func (d *director) executable(path string, own, copied bool) error {
	source := filepath.Join(filepath.Dir(d.temp), hermetic.Executable)
	if own && !d.inContainer {
		// The same mount, so that a link is possible.
		if os.Link(source, path) == nil {
			return nil
		}
	}
	from := []string{source, "/proc/self/exe"}
	if copied {
		return d.put(path, nil, copyLoaded)
	}
	return d.put(path, from, inside.CopyExecutable)
}

// program puts a program of machine code at a path.
func (d *director) program(path string, own bool, folder string, file []byte) error {
	if own {
		return writeProgram(path, file)
	}
	source := filepath.Join(folder, "falcotest-program")
	if err := writeProgram(source, file); err != nil {
		return err
	}
	return d.put(path, []string{source}, func(path string) error { return writeProgram(path, file) })
}

// put puts an executable at a path: by a mount of one of the files from, where that
// is possible, or else by make.
func (d *director) put(path string, from []string, make func(path string) error) error {
	if err := d.parents(path); err != nil {
		return err
	}
	if info, err := os.Lstat(path); err == nil && (!info.Mode().IsRegular() || !d.root) {
		if !d.vanishes(path) {
			return fmt.Errorf("%s is there already", path)
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	if d.root && len(from) > 0 && (d.inContainer || hermetic.Active()) {
		f, err := os.OpenFile(path, os.O_CREATE, 0o755) // and not to be written, which a program that runs could not be
		if err != nil {
			return err
		}
		f.Close()
		for _, from := range from {
			if unix.Mount(from, path, "", unix.MS_BIND, "") == nil {
				return nil
			}
		}
	}
	if err := d.protect(path); err != nil {
		return err
	}
	os.Remove(path)
	return make(path)
}

// writeProgram writes an executable file, whatever the umask.
func writeProgram(path string, file []byte) error {
	if err := os.WriteFile(path, file, 0o755); err != nil {
		return err
	}
	return os.Chmod(path, 0o755)
}

// copyLoaded copies this executable to a file of its own, as far as a process
// has it in its memory: what debuggers read, a third of it, is not needed.
func copyLoaded(path string) error {
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer from.Close()
	program, err := elf.NewFile(from)
	if err != nil {
		return err
	}
	size := uint64(0)
	for _, p := range program.Progs {
		if p.Type == elf.PT_LOAD {
			size = max(size, p.Off+p.Filesz)
		}
	}
	to, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.CopyN(to, from, int64(size)) // by its own offset, which nothing has moved
	return errors.Join(err, to.Close(), os.Chmod(path, 0o755))
}

// parents makes the directories above a path.
func (d *director) parents(path string) error {
	dir := filepath.Dir(path)
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := d.protect(dir); err != nil {
		return err
	}
	return os.MkdirAll(dir, 0o755)
}

// waiting puts a program that waits at a path.
func (d *director) waiting(path string) error {
	if err := d.parents(path); err != nil {
		return err
	}
	if err := d.protect(path); err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return writeProgram(path, stage.Waiting())
}

// run starts the chain and sees it to its end. Of all that it does, what the last
// process does is judged, from its exec on.
func (d *director) run() (err error) {
	d.h.Marks().Aside(func() { err = d.direct() })
	return err
}

func (d *director) direct() error {
	marks := d.h.Marks()
	control, err := stage.Pair()
	if err != nil {
		return err
	}
	for _, order := range d.orders {
		order.Marks = marks
		if err := order.Send(control); err != nil {
			return fmt.Errorf("telling the processes what to do: %w", err)
		}
	}
	proc, err := d.first.Start(marks, false)
	if err != nil {
		unix.Close(stage.ControlFD)
		return d.refused(err)
	}
	unix.Close(stage.ControlFD) // so that the end comes when the chain's ends
	d.h.Started(proc.Pid)
	at := make(chan string, 1)
	d.h.Standing(func() string { return standing(control, at) })
	var last *stage.Report
	for {
		r := new(stage.Report)
		if err := stage.Receive(control, r); err != nil {
			if !errors.Is(err, io.EOF) {
				d.h.Log().Error(err)
			}
			break
		}
		if r.PID != 0 {
			d.h.Started(r.PID)
		}
		if r.At != "" {
			at <- r.At
		}
		if r.Done {
			last = r
			break
		}
	}
	ended, err := proc.Wait()
	d.h.Standing(nil)
	unix.Close(control)
	switch {
	case err != nil:
		return err
	case last == nil:
		return fmt.Errorf("the chain of processes ended without a report: %s", ended)
	}
	place := ""
	if last.Place != "" {
		place = last.Place + ": "
	}
	switch {
	case last.Skip != "":
		return skip("%s%s", place, last.Skip)
	case last.Failure != "":
		return errors.New(place + last.Failure)
	}
	return nil
}

// standing asks the last process of the chain where the test stands.
func standing(control int, answer <-chan string) string {
	if stage.Send(control, stage.Order{Where: true}) != nil {
		return ""
	}
	patience := time.NewTimer(2 * time.Second) // less than the grace
	defer patience.Stop()
	select {
	case at := <-answer:
		return at
	case <-patience.C:
		return "its chain of processes, of which the last gives no answer: it has not begun, or is stopped"
	}
}

// refused says why the first process could not be started.
func (d *director) refused(err error) error {
	if !d.root && errors.Is(err, unix.EPERM) {
		return skip("needs root: %v", err)
	}
	return err
}
