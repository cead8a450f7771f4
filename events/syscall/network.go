// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

// documentationIP is an address reserved for documentation (RFC 5737), for
// actions that need a public one. It exists in network namespaces of their own
// only.
var documentationIP = netip.MustParseAddr("203.0.113.7")

// metadataIP is the address at which clouds serve instance metadata.
var metadataIP = netip.MustParseAddr("169.254.169.254")

// errNoNetwork says that a network of its own is not to be had.
var errNoNetwork = errors.New("making a network namespace and adding an address to it need CAP_SYS_ADMIN and CAP_NET_ADMIN")

// withAddress calls f on an operating system thread in whose network the
// address is one of the loopback interface's. Sockets that f opens itself, not
// by package net, belong to that network.
func withAddress(h events.Helper, ip netip.Addr, f func() error) error {
	return onOwnThread(func() error {
		if err := enterNetwork(h, ip); err != nil {
			return err
		}
		return f()
	})
}

// enterNetwork moves this thread to a network namespace of its own and gives
// its loopback interface the address. In a container that may not make one,
// the container's own loopback interface has the address until the action
// completes.
func enterNetwork(h events.Helper, ip netip.Addr) error {
	err := unix.Unshare(unix.CLONE_NEWNET)
	switch {
	case err == nil:
		err = addAddress("lo:0", ip)
	case errors.Is(err, unix.EPERM) && h.InContainer():
		label := fmt.Sprintf("lo:%d", os.Getpid()%100000)
		if err = addAddress(label, ip); err == nil {
			h.Cleanup(func() { setFlags(label, 0) }, "remove the address", ip, "of", label)
		}
	}
	if errors.Is(err, unix.EPERM) {
		return &events.ErrSkipped{Reason: errNoNetwork.Error()}
	}
	return err
}

// withForeignAddress is withAddress for rules that only exclude loopback: as an
// ordinary user, who may not make a network, f gets an address of one of the
// machine's interfaces instead, over which nothing leaves the machine.
func withForeignAddress(h events.Helper, f func(ip netip.Addr) error) error {
	err := withAddress(h, documentationIP, func() error { return f(documentationIP) })
	if skip := (*events.ErrSkipped)(nil); !errors.As(err, &skip) {
		return err
	}
	ip, err := interfaceAddress()
	if err != nil {
		return &events.ErrSkipped{Reason: err.Error()}
	}
	return f(ip)
}

// interfaceAddress returns an IPv4 address of one of the machine's interfaces
// other than loopback.
func interfaceAddress() (netip.Addr, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("listing the addresses of this machine: %w", err)
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			ip, _ := netip.AddrFromSlice(n.IP.To4())
			return ip, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("%w; and this machine has no address but loopback", errNoNetwork)
}

// addAddress adds an IPv4 address to the loopback interface under a label, and
// brings the interface up.
func addAddress(label string, ip netip.Addr) error {
	if err := setFlags("lo", unix.IFF_UP); err != nil {
		return err
	}
	for _, step := range []struct {
		name    string
		request uint
		addr    netip.Addr
	}{
		{"adding an address to the loopback interface", unix.SIOCSIFADDR, ip},
		{"setting the mask of the address", unix.SIOCSIFNETMASK, netip.MustParseAddr("255.255.255.255")},
	} {
		err := configure(label, step.request, func(r *unix.Ifreq) error { return r.SetInet4Addr(step.addr.AsSlice()) })
		if err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

// setFlags brings an interface up. Without flags it takes it down, which
// removes a label together with its address.
func setFlags(label string, flags uint16) error {
	err := configure(label, unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error { r.SetUint16(flags); return nil })
	if err != nil {
		return fmt.Errorf("setting the flags of the interface %s: %w", label, err)
	}
	return nil
}

func configure(label string, request uint, set func(*unix.Ifreq) error) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq(label)
	if err != nil {
		return err
	}
	if err := set(r); err != nil {
		return err
	}
	return unix.IoctlIfreq(fd, request, r)
}

// connection is both ends of a connection over this thread's network, made by
// this thread's own system calls.
type connection struct {
	client, server int // connected to each other; server is -1 with UDP
	fds            []int
}

func (c *connection) Close() {
	for _, fd := range c.fds {
		unix.Close(fd)
	}
}

// connect makes a server at the given address and connects a client to it. The
// kind is SOCK_STREAM or SOCK_DGRAM; port 0 means any that is free.
func connect(kind int, at netip.AddrPort) (*connection, error) {
	c := &connection{client: -1, server: -1}
	if err := c.open(kind, at); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *connection) open(kind int, at netip.AddrPort) error {
	listener, err := c.socket(kind)
	if err != nil {
		return err
	}
	if err := unix.Bind(listener, sockaddr(at)); err != nil {
		return fmt.Errorf("binding a socket to %s: %w", at, err)
	}
	if kind == unix.SOCK_STREAM {
		if err := unix.Listen(listener, 1); err != nil {
			return fmt.Errorf("listening at %s: %w", at, err)
		}
	}
	local, err := unix.Getsockname(listener)
	if err != nil {
		return fmt.Errorf("asking for the address of a socket: %w", err)
	}
	if c.client, err = c.socket(kind); err != nil {
		return err
	}
	// The connection is complete as soon as it is in the listener's queue.
	if err := unix.Connect(c.client, local); err != nil {
		return fmt.Errorf("connecting to a server of our own at %s: %w", at, err)
	}
	if kind != unix.SOCK_STREAM {
		return nil
	}
	c.server, _, err = unix.Accept4(listener, unix.SOCK_CLOEXEC)
	if err != nil {
		return fmt.Errorf("accepting a connection: %w", err)
	}
	c.fds = append(c.fds, c.server)
	return nil
}

func (c *connection) socket(kind int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("opening a socket: %w", err)
	}
	c.fds = append(c.fds, fd)
	return fd, nil
}

func sockaddr(at netip.AddrPort) unix.Sockaddr {
	return &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
}

// serveLoopback answers each connection to a free port of loopback with the
// given text until the action completes, and returns its address and port.
func serveLoopback(h events.Helper, reply string) (host, port string, err error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", "", fmt.Errorf("listening on loopback: %w", err)
	}
	h.Cleanup(func() { l.Close() }, "close", l.Addr())
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			io.WriteString(c, reply) // a client that has gone is none of our business
			c.Close()
		}
	}()
	return net.SplitHostPort(l.Addr().String())
}

// talk connects to a server on loopback and reads what it says, as a copy that
// runs under the name of a network tool does.
func talk(host, port string) (string, error) {
	c, err := net.Dial("tcp4", net.JoinHostPort(host, port))
	if err != nil {
		return "", fmt.Errorf("connecting to a server of our own: %w", err)
	}
	defer c.Close()
	b, err := io.ReadAll(c)
	if err != nil {
		return "", fmt.Errorf("reading from a server of our own: %w", err)
	}
	return string(b), nil
}

// talkToLastArgs is talk with the last two of this process's arguments.
func talkToLastArgs() error {
	if n := len(os.Args); n > 2 {
		_, err := talk(os.Args[n-2], os.Args[n-1])
		return err
	}
	return errors.New("no address and port to connect to among the arguments")
}

// connectTo is connect for actions that want no more of the connection.
func connectTo(kind int, ip netip.Addr, port uint16) error {
	c, err := connect(kind, netip.AddrPortFrom(ip, port))
	if err != nil {
		return err
	}
	c.Close()
	return nil
}
