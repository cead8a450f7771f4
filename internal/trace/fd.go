// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package trace

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/event"
)

const atFDCWD = unix.AT_FDCWD

// fd returns the record of an open descriptor of a stopped thread, nil when it
// is not open. A record is kept for as long as the descriptor is of the same
// file, which the kernel tells: calls that close or copy descriptors need not
// be seen. Where the kernel does not tell, the descriptor may be of another file
// by now, and nothing of it is known.
func (t *tracer) fd(th *thread, num int64) *event.FD {
	if num < 0 {
		return nil
	}
	p := th.proc
	link := t.fdPath(th.TID, num)
	var st unix.Stat_t
	if err := unix.Stat(link, &st); err != nil {
		switch {
		case forbidden(err):
			why := event.UnknownProc
			return &event.FD{Num: num, Unknown: event.FDUnknowns{Type: why, Name: why, File: why, Layer: why}}
		case err != unix.ENOENT:
			return p.FDs[num] // the file cannot be asked: believe the record
		}
		delete(p.FDs, num)
		return nil
	}
	anonymous := st.Mode&unix.S_IFMT == 0
	dev := encodeDev(uint64(st.Dev))
	if fd := p.FDs[num]; fd != nil && fd.Ino == st.Ino && fd.Dev == dev && !anonymous {
		return fd
	}
	// A copy of another descriptor keeps the name that that one has.
	if !anonymous {
		for _, other := range p.FDs {
			if other.Ino == st.Ino && other.Dev == dev {
				fd := *other
				fd.Num = num
				p.FDs[num] = &fd
				return &fd
			}
		}
	}
	fd := &event.FD{Num: num, Dev: dev, Ino: st.Ino}
	t.classify(th, fd, &st)
	p.FDs[num] = fd
	return fd
}

// setFD records a descriptor that a call has just made.
func (t *tracer) setFD(th *thread, fd *event.FD) *event.FD {
	var st unix.Stat_t
	if unix.Stat(t.fdPath(th.TID, fd.Num), &st) == nil {
		fd.Dev, fd.Ino = encodeDev(uint64(st.Dev)), st.Ino
	}
	th.proc.FDs[fd.Num] = fd
	return fd
}

// scanFDs records the descriptors that a process has when it is attached.
func (t *tracer) scanFDs(th *thread) {
	dir, err := unix.Open(string(t.procPath(th.TID, "fd")), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		if forbidden(err) {
			th.proc.Unknown.FDs = event.UnknownProc
		}
		return
	}
	defer unix.Close(dir)
	buf := make([]byte, 4096)
	var names []string
	for {
		n, err := unix.ReadDirent(dir, buf)
		if err != nil || n <= 0 {
			break
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
	for _, name := range names {
		num, err := strconv.ParseInt(name, 10, 64)
		if err != nil {
			continue
		}
		if fd := t.fd(th, num); fd != nil && fd.Type == event.FDPipe {
			fd.Name, _ = t.readLink(th.TID, "fd/"+name)
		}
	}
}

// anonymousTypes are the kinds of descriptors by what their links say.
var anonymousTypes = map[string]event.FDType{
	"anon_inode:[eventfd]":     event.FDEvent,
	"anon_inode:[signalfd]":    event.FDSignal,
	"anon_inode:[eventpoll]":   event.FDEventPoll,
	"anon_inode:inotify":       event.FDInotify,
	"anon_inode:[timerfd]":     event.FDTimer,
	"anon_inode:[io_uring]":    event.FDIOUring,
	"anon_inode:[userfaultfd]": event.FDUserfault,
	"anon_inode:[pidfd]":       event.FDPidfd,
	"anon_inode:bpf-map":       event.FDBPF,
	"anon_inode:bpf-prog":      event.FDBPF,
	"anon_inode:bpf_link":      event.FDBPF,
	"anon_inode:bpf_iter":      event.FDBPF,
}

// classify finds the type and the name of a descriptor that no followed call
// has made.
func (t *tracer) classify(th *thread, fd *event.FD, st *unix.Stat_t) {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFSOCK:
		t.classifySocket(th, fd)
		return
	case unix.S_IFIFO:
		fd.Type = event.FDPipe
		if link, _ := t.readLink(th.TID, "fd/"+strconv.FormatInt(fd.Num, 10)); !strings.HasPrefix(link, "pipe:") {
			fd.Name = link // a named pipe
		}
		return
	}
	link, _ := t.readLink(th.TID, "fd/"+strconv.FormatInt(fd.Num, 10))
	switch {
	case strings.HasPrefix(link, "anon_inode:") || st.Mode&unix.S_IFMT == 0:
		fd.Type = event.FDUnsupported
		if typ, ok := anonymousTypes[link]; ok {
			fd.Type = typ
		}
	case strings.HasPrefix(link, "pidfd:") || link == "pidfd":
		fd.Type = event.FDPidfd
	case strings.HasPrefix(link, "/memfd:"):
		fd.Type, fd.Name = event.FDMemfd, link
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		fd.Type, fd.Name = event.FDDirectory, link
	default:
		fd.Type, fd.Name = event.FDFile, link
		fd.UpperLayer, fd.LowerLayer, fd.Unknown.Layer = t.overlayLayer(th.proc.PID, t.fdPath(th.TID, fd.Num), link, st)
	}
	fd.NameRaw = fd.Name
	fd.Flags = t.openedWith(th.TID, fd.Num)
}

// openedWith returns the flags of an open file in Falco's encoding.
func (t *tracer) openedWith(tid, num int64) uint32 {
	for line := range strings.Lines(string(t.readProc(tid, "fdinfo/"+strconv.FormatInt(num, 10)))) {
		if s, ok := strings.CutPrefix(line, "flags:"); ok {
			n, _ := strconv.ParseUint(strings.TrimSpace(s), 8, 32)
			return openFlags(n)
		}
	}
	return 0
}

// absolute returns a path as Falco reports it: relative ones begin in dir, and
// dots and doubled slashes are resolved by the text alone.
func (t *tracer) absolute(dir, name string) string {
	if name == "" {
		return ""
	}
	b := t.scratch[:0]
	switch {
	case name[0] == '/' && isClean(name):
		return name
	case name[0] == '/':
		b = append(b, '/')
	case dir == "":
		return name // the directory is not known
	default:
		b = append(b, dir...)
		if b[len(b)-1] != '/' {
			b = append(b, '/')
		}
	}
	for rest := name; rest != ""; {
		var part string
		if part, rest, _ = strings.Cut(rest, "/"); part == "" || part == "." {
			continue
		}
		if part == ".." {
			// Falco stops at the root, and so does the kernel.
			i := len(b) - 1
			for i > 0 && b[i-1] != '/' {
				i--
			}
			if i > 0 {
				b = b[:i]
			}
			continue
		}
		b = append(b, part...)
		b = append(b, '/')
	}
	t.scratch = b
	if len(b) > 1 {
		b = b[:len(b)-1]
	}
	return t.intern(b)
}

// isClean tells whether an absolute path has nothing to resolve.
func isClean(name string) bool {
	if len(name) > 1 && name[len(name)-1] == '/' {
		return false
	}
	for i := 0; i < len(name)-1; i++ {
		if name[i] == '/' && (name[i+1] == '/' || name[i+1] == '.') {
			return false
		}
	}
	return true
}

// dirName returns the directory that a relative path begins in, "" when it has
// no name, and why it is not known.
func (t *tracer) dirName(th *thread, dirfd int64) (string, event.Unknown) {
	if dirfd == atFDCWD {
		return th.proc.Cwd, th.proc.Unknown.Cwd
	}
	if fd := t.fd(th, dirfd); fd != nil {
		return fd.Name, fd.Unknown.Name
	}
	return "", event.Known
}
