// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
)

// pause keeps a pod's namespaces until it is told to end.
func pause() {
	told := make(chan os.Signal, 1)
	signal.Notify(told, os.Interrupt, syscall.SIGTERM)
	go func() { // where a pod's processes see one another, this is the first
		died := make(chan os.Signal, 1)
		signal.Notify(died, syscall.SIGCHLD)
		for range died {
			for pid := 1; pid > 0; {
				pid, _ = syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			}
		}
	}()
	<-told
}

// serve greets whoever connects, until standard input has a line, which it says.
func serve() error {
	l, err := net.Listen("tcp", ":80")
	if err != nil {
		return err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(c, "hello")
			c.Close()
		}
	}()
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil {
		return fmt.Errorf("reading standard input: %w", err)
	}
	fmt.Print(line)
	return nil
}
