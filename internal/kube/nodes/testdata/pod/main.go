// SPDX-License-Identifier: Apache-2.0

// Command pod is what the tests' pods run.
//
//	pod say TEXT          says it, on both outputs
//	pod read FILE         says what is in it
//	pod exit STATUS       says where it runs, and ends
//	pod serve ADDRESS     answers connections with the name of its host
package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
)

func main() {
	host, err := os.Hostname()
	if err != nil {
		panic(err)
	}
	switch os.Args[1] {
	case "say":
		fmt.Println(os.Args[2])
		fmt.Fprintln(os.Stderr, os.Args[2])
	case "read":
		content, err := os.ReadFile(os.Args[2])
		if err != nil {
			panic(err)
		}
		os.Stdout.Write(content)
	case "exit":
		status, err := strconv.Atoi(os.Args[2])
		if err != nil {
			panic(err)
		}
		fmt.Println("on", host)
		os.Exit(status)
	case "serve":
		l, err := net.Listen("tcp", os.Args[2])
		if err != nil {
			panic(err)
		}
		fmt.Println("serving")
		for {
			c, err := l.Accept()
			if err != nil {
				panic(err)
			}
			fmt.Fprintln(c, host)
			c.Close()
		}
	}
}
