// SPDX-License-Identifier: Apache-2.0

package helper

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"

	"github.com/falcotest/go-falcotest/events"
)

// The helper actions, which others spawn. They have no rules of their own.
var (
	_ = events.Register(DoNothing, events.WithDisabled())
	_ = events.Register(ExecLs, events.WithDisabled())
	_ = events.Register(RunShell, events.WithDisabled())
	_ = events.Register(InboundConnection, events.WithDisabled())
	_ = events.Register(OutboundConnection, events.WithDisabled())
	_ = events.Register(NetworkActivity, events.WithDisabled())
	_ = events.Register(CombinedServerClient, events.WithDisabled())
)

// DoNothing does nothing: the program that is started is what counts.
func DoNothing(events.Helper) error { return nil }

// ExecLs runs ls, and lists nothing but the root folder.
func ExecLs(h events.Helper) error { return runProgram(h, "ls", "/") }

// RunShell runs a shell, which exits at once.
func RunShell(h events.Helper) error { return runProgram(h, "sh", "-c", "exit 0") }

func runProgram(h events.Helper, name string, args ...string) error {
	path, err := exec.LookPath(name)
	if err != nil {
		return &events.ErrSkipped{Reason: fmt.Sprintf("there is no %s on the PATH", name)}
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("running %s: %w: %s", name, err, out)
	}
	h.Log().Infof("%s ran", name)
	return nil
}

// InboundConnection listens on a free port of the loopback interface and accepts
// one connection, which it makes itself.
func InboundConnection(h events.Helper) error { return CombinedServerClient(h) }

// OutboundConnection connects to a free port of the loopback interface, where it
// listens itself.
func OutboundConnection(h events.Helper) error { return CombinedServerClient(h) }

// NetworkActivity sends one datagram over the loopback interface to a socket of
// its own.
func NetworkActivity(h events.Helper) (err error) {
	server, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return fmt.Errorf("opening a datagram socket: %w", err)
	}
	defer server.Close()
	client, err := net.DialUDP("udp4", nil, server.LocalAddr().(*net.UDPAddr))
	if err != nil {
		return fmt.Errorf("connecting to %v: %w", server.LocalAddr(), err)
	}
	defer client.Close()
	if _, err := client.Write([]byte("falcotest")); err != nil {
		return fmt.Errorf("sending to %v: %w", server.LocalAddr(), err)
	}
	if _, _, err := server.ReadFrom(make([]byte, 16)); err != nil {
		return fmt.Errorf("receiving on %v: %w", server.LocalAddr(), err)
	}
	h.Log().Infof("sent a datagram to %v", server.LocalAddr())
	return nil
}

// CombinedServerClient is both ends of a connection over the loopback
// interface, on a free port: it listens, connects, accepts and exchanges some
// bytes.
func CombinedServerClient(h events.Helper) error {
	server, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	defer server.Close()
	var (
		wg        sync.WaitGroup
		serverErr error
	)
	wg.Go(func() {
		c, err := server.Accept()
		if err != nil {
			serverErr = fmt.Errorf("accepting a connection: %w", err)
			return
		}
		defer c.Close()
		if _, err := io.Copy(c, c); err != nil {
			serverErr = fmt.Errorf("answering: %w", err)
		}
	})
	clientErr := exchange(server.Addr().String())
	if clientErr != nil {
		server.Close() // ends a server that nobody will reach
	}
	wg.Wait()
	if err := errors.Join(clientErr, serverErr); err != nil {
		return err
	}
	h.Log().Infof("connected to %v", server.Addr())
	return nil
}

func exchange(address string) error {
	c, err := net.Dial("tcp4", address)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "process %d\n", os.Getpid()); err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		return fmt.Errorf("ending the connection: %w", err)
	}
	if _, err := io.ReadAll(c); err != nil {
		return fmt.Errorf("receiving: %w", err)
	}
	return nil
}
