// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/falcotest/go-falcotest/internal/kube/apiserver"
)

var apiserverVerb = verb{"apiserver", "", "build the API server that tests of Kubernetes actions start, once, and print its path", buildAPIServer}

// buildAPIServer builds the API server into the user's cache, unless it is there.
func buildAPIServer(ctx context.Context, _ []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	program, err := apiserver.Build(ctx, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "falcotest:", err)
		return 1
	}
	fmt.Fprintln(stdout, program)
	return 0
}
