// SPDX-License-Identifier: Apache-2.0

// Command build builds the API server that tests of Kubernetes actions start
// when they are given no cluster, into the user's cache. It prints the path.
//
//	go run github.com/falcotest/go-falcotest/internal/kube/build
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/falcotest/go-falcotest/internal/kube/apiserver"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	program, err := apiserver.Build(ctx, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
	fmt.Println(program)
}
