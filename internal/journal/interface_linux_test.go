// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRemoveInterface makes an interface in a network namespace of its
// own thread and removes it.
func TestRemoveInterface(t *testing.T) {
	done := make(chan struct{})
	var skip string
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with its namespace
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			skip = fmt.Sprintf("no network namespace: %v", err)
			return
		}
		const name = "ft-test0"
		if err := errors.Join(makeInterface(name, "dummy"), makeInterface(name, "bridge")); err != nil {
			if _, missing := net.InterfaceByName(name); missing != nil {
				skip = fmt.Sprintf("the kernel makes no interface: %v", err)
				return
			}
		}
		if _, err := net.InterfaceByName(name); err != nil {
			t.Errorf("the interface is not there: %v", err)
		}
		op := Op{Kind: Interface, Path: name}
		for range 2 {
			if err := op.Undo(); err != nil {
				t.Error(err)
			}
		}
		if _, err := net.InterfaceByName(name); err == nil {
			t.Error("the interface is still there")
		}
	}()
	<-done
	if skip != "" {
		t.Skip(skip)
	}
}

func makeInterface(name, kind string) error {
	attr := func(typ uint16, data []byte) []byte {
		b := make([]byte, 4, 4+(len(data)+3)&^3)
		binary.NativeEndian.PutUint16(b, uint16(4+len(data)))
		binary.NativeEndian.PutUint16(b[2:], typ)
		b = append(b, data...)
		return append(b, make([]byte, (4-len(data)%4)%4)...)
	}
	msg := make([]byte, unix.SizeofNlMsghdr+unix.SizeofIfInfomsg)
	msg = append(msg, attr(unix.IFLA_IFNAME, append([]byte(name), 0))...)
	msg = append(msg, attr(unix.IFLA_LINKINFO, attr(unix.IFLA_INFO_KIND, []byte(kind)))...)
	binary.NativeEndian.PutUint32(msg, uint32(len(msg)))
	binary.NativeEndian.PutUint16(msg[4:], unix.RTM_NEWLINK)
	binary.NativeEndian.PutUint16(msg[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	buf := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, buf, 0)
	if err != nil || n < unix.SizeofNlMsghdr+4 {
		return err
	}
	if errno := -int32(binary.NativeEndian.Uint32(buf[unix.SizeofNlMsghdr:])); errno != 0 {
		return unix.Errno(errno)
	}
	return nil
}
