// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/falcotest/go-falcotest/internal/kube/nodes"
	"github.com/falcotest/go-falcotest/internal/kube/programs"
)

var apiserverVerb = verb{"apiserver", "[-nodes] [-simulator]", "build the API server that tests of Kubernetes actions start, once, and print its path", buildAPIServer}

// buildAPIServer builds the API server into the user's cache, unless it is there,
// and what else is asked for.
func buildAPIServer(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("apiserver", flag.ContinueOnError)
	flags.SetOutput(stderr)
	withNodes := flags.Bool("nodes", false, "build also what its nodes need: scheduler, controller manager and kubelet")
	withSimulator := flags.Bool("simulator", false, "build also kwok, which plays nodes that run nothing")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	build := []programs.Program{programs.APIServer}
	if *withNodes {
		build = append(build, programs.Nodes, nodes.Init)
	}
	if *withSimulator {
		build = append(build, programs.Simulator)
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	for _, p := range build {
		program, err := p.Build(ctx, stderr)
		if err != nil {
			fmt.Fprintln(stderr, "falcotest:", err)
			return 1
		}
		fmt.Fprintln(stdout, program)
	}
	return 0
}
