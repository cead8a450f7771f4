// SPDX-License-Identifier: Apache-2.0

package turns

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func defaultPlaces(folder string) []place {
	places := []place{sockets{files{"/tmp"}}}
	if folder != "" {
		places = append(places, folders{folder})
	}
	return places
}

// sockets takes turns by the names of abstract unix sockets (unix(7)): one
// process at a time can have a name, in a network namespace. Who connects is
// told who that is.
type sockets struct {
	files files // where the kernel refuses them
}

func (s sockets) try(name, who string) (func(), error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: "@" + name, Net: "unix"})
	if errors.Is(err, unix.EADDRINUSE) {
		return nil, nil
	}
	if err != nil {
		return s.files.try(name, who)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.SetDeadline(time.Now().Add(answerWithin))
			fmt.Fprintln(c, who)
			c.Close()
		}
	}()
	return func() {
		l.Close()
		<-ended
	}, nil
}

// answerWithin is how long a holder may take to say who it is.
const answerWithin = 200 * time.Millisecond

func (s sockets) holder(name string) string {
	c, err := net.DialTimeout("unix", "@"+name, answerWithin)
	if err != nil {
		return s.files.holder(name)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(answerWithin))
	line, _ := bufio.NewReader(io.LimitReader(c, 1024)).ReadString('\n')
	return describe(strings.TrimSuffix(line, "\n"), peer(c))
}

// peer is who listens at the other end of a connection.
func peer(c net.Conn) (cred unix.Ucred) {
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return cred
	}
	raw.Control(func(fd uintptr) {
		if got, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			cred = *got
		}
	})
	return cred
}

func describe(who string, cred unix.Ucred) string {
	text := another
	switch {
	case who != "":
		text = fmt.Sprintf("%q", who)
	case cred.Pid > 0:
		text = "a process that does not say what it is"
	}
	if cred.Pid > 0 {
		text += fmt.Sprintf(" (pid %d", cred.Pid)
		if int(cred.Uid) != os.Geteuid() {
			text += fmt.Sprintf(" of user %d", cred.Uid)
		}
		text += ")"
	}
	return text
}
