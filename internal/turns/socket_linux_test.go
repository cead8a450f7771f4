// SPDX-License-Identifier: Apache-2.0

package turns

import (
	"fmt"
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Somebody who has the name and says nothing holds nobody up for an answer.
func TestSilentHolder(t *testing.T) {
	name := fmt.Sprint("falcotest-test-", os.Getpid())
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: "@" + name, Net: "unix"})
	if err != nil {
		t.Skip(err)
	}
	defer l.Close()
	p := sockets{}
	if release, err := p.try(name, "me"); release != nil || err != nil {
		t.Errorf("got %v", err)
	}
	if got, want := p.holder(name), fmt.Sprintf("a process that does not say what it is (pid %d)", os.Getpid()); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := describe("", unix.Ucred{Pid: 1, Uid: 4711}), "a process that does not say what it is (pid 1 of user 4711)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
