// SPDX-License-Identifier: Apache-2.0

// Command falcotest is what is not a test, for those who test Falco rules
// with package falcotest:
//
//	go get -tool github.com/falcotest/go-falcotest/falcotest/cmd/falcotest
//	go tool falcotest record -o incident.scap -- COMMAND…
package main

import (
	"context"
	"fmt"
	"io"
	"os"
)

// verb is one thing that the command does, a file each.
type verb struct {
	name, usage, doc string
	run              func(ctx context.Context, args []string, stdout, stderr io.Writer) int
}

var verbs = []verb{
	initVerb,
	explainVerb,
	schemaVerb,
	recordVerb,
	reportVerb,
	apiserverVerb,
	imageVerb,
	manifestVerb,
}

// simple makes a verb of a function that returns what went wrong.
func simple(f func(args []string, out io.Writer) error) func(context.Context, []string, io.Writer, io.Writer) int {
	return func(_ context.Context, args []string, stdout, stderr io.Writer) int {
		if err := f(args, stdout); err != nil {
			fmt.Fprintln(stderr, "falcotest:", err)
			return 1
		}
		return 0
	}
}

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		usage(stderr)
		return 2
	}
	if hidden := hiddenVerbs[args[0]]; hidden != nil {
		return hidden(ctx, args[1:], stdout, stderr)
	}
	for _, v := range verbs {
		if v.name == args[0] {
			return v.run(ctx, args[1:], stdout, stderr)
		}
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		usage(stdout)
		return 0
	}
	fmt.Fprintf(stderr, "falcotest: there is no verb %q\n\n", args[0])
	usage(stderr)
	return 2
}

// hiddenVerbs are for processes that the command starts itself.
var hiddenVerbs = map[string]func(ctx context.Context, args []string, stdout, stderr io.Writer) int{}

func usage(w io.Writer) {
	fmt.Fprint(w, "usage: falcotest VERB …\n\n")
	for _, v := range verbs {
		fmt.Fprintf(w, "  %s %s\n      %s\n", v.name, v.usage, v.doc)
	}
}
