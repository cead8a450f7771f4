// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/marks"
)

// Waiting returns a program that waits until it is killed. At its start it closes
// descriptor 3, which says that it runs.
func Waiting() []byte {
	var c code
	c.call(unix.SYS_CLOSE, 3)
	c.label("wait")
	c.call(unix.SYS_PPOLL, 0, 0, 0, 0)
	c.jump("wait")
	return c.file()
}

// Ending returns the program of a last process that does nothing: it reports that all
// is done, and ends.
func Ending() []byte {
	var c code
	report := append([]byte{whole}, `{"done":true}`...)
	c.call(unix.SYS_SENDTO, ControlFD, c.bytes(report), len(report), unix.MSG_NOSIGNAL, 0, 0)
	c.call(unix.SYS_EXIT_GROUP, 0)
	return c.file()
}

// Starting returns a program that starts the process, as [Launch.Start] does in one
// that has the environment env, and ends when that has ended. Its order is the
// marks' secret.
func (l *Launch) Starting(env []string) []byte {
	var c code
	path, argv, environ := c.cstring(l.Path), c.cstrings(l.Argv), c.cstrings(l.Environ(env))
	secret := c.space(8)
	begun := c.bytes(append([]byte{started}, make([]byte, 4)...))
	failed := c.bytes(append([]byte{unstarted, 0, 0, 0, 0}, l.Argv[0]...))
	child, reason := begun+1, failed+1 // the numbers in them
	const siStatus = 24                // in a siginfo_t
	ended := c.space(128)
	// With the secret 0 they mean nothing.
	mark := func(kind int) { c.call(unix.SYS_PRCTL, marks.Option, loaded(secret), kind, 0, 0) }

	c.call(unix.SYS_READ, ControlFD, secret, 8)
	c.ifZero("end") // nobody is there any more
	c.ifNegative("end")
	if l.Last {
		mark(marks.Begin | ControlFD<<16 | ControlFD<<32)
		mark(marks.Spawn)
	} else {
		mark(marks.Stage)
	}
	// The child has this process's memory until it executes the other program, and
	// this one waits until then.
	c.call(unix.SYS_CLONE, unix.CLONE_VM|unix.CLONE_VFORK|int(unix.SIGCHLD), 0, 0, 0, 0)
	c.ifZero("child")
	c.ifNegative("fail")
	c.store(child)
	mark(marks.Back)
	if l.Last {
		mark(marks.End)
	}
	c.call(unix.SYS_SENDTO, ControlFD, begun, 5, unix.MSG_NOSIGNAL, 0, 0)
	c.call(unix.SYS_WAITID, unix.P_ALL, 0, ended, unix.WEXITED, 0)
	c.call(unix.SYS_EXIT_GROUP, loaded(ended+siStatus))

	c.label("child")
	c.call(unix.SYS_EXECVE, path, argv, environ)
	c.label("fail")
	c.store(reason)
	c.call(unix.SYS_SENDTO, ControlFD, failed, 5+len(l.Argv[0]), unix.MSG_NOSIGNAL, 0, 0)
	c.label("end")
	c.call(unix.SYS_EXIT_GROUP, 2)
	return c.file()
}

// Send sends the order.
func (o *Order) Send(fd int) error {
	if o.Become == nil && o.Start == nil && o.Play == nil {
		return send(fd, binary.NativeEndian.AppendUint64(nil, uint64(o.Marks)))
	}
	return Send(fd, o)
}
