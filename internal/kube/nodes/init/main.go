// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command init is the first process of a node of a test cluster, and all that
// such a node needs of programs that are ours: what keeps a pod's namespaces, and
// what gives a pod its network. Package nodes builds it, from these files alone,
// so it uses nothing but the standard library.
//
//	init SPEC       the first process of a node, as the file SPEC says
//	init pause      the first process of a pod
//	init serve      a server for pods of actions: at port 80, until standard input has a line
//	id              says which user runs it
//
// By the names [loopback] and [network] it is a plugin of the Container Network
// Interface.
//
// The node's process is to be started as the first of a PID namespace, and in a
// mount and a UTS namespace of its own. Processes, mounts and files of the node
// are in them: when this process ends, or is killed, they are gone. It ends when
// its standard input does.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	var err error
	switch name := filepath.Base(os.Args[0]); {
	case name == loopback || name == network:
		err = plugin(name)
	case name == "id":
		fmt.Printf("uid=%d gid=%d\n", os.Getuid(), os.Getgid())
	case len(os.Args) == 2 && os.Args[1] == "pause":
		pause()
	case len(os.Args) == 2 && os.Args[1] == "serve":
		err = serve()
	case len(os.Args) == 2:
		err = node(os.Args[1])
	default:
		fmt.Fprintln(os.Stderr, "usage: init SPEC | init pause")
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "init:", err)
		os.Exit(1)
	}
}
