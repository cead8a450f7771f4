// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/falcotest/go-falcotest/internal/capture"
	"github.com/falcotest/go-falcotest/internal/machine"
	"github.com/falcotest/go-falcotest/internal/record"
)

var recordVerb = verb{
	name: "record", usage: "[-o FILE] [-env NAME,…] -- COMMAND…",
	doc: "run a command and record its system calls as a .scap file, which Falco and falcotest.Replay read",
	run: recordCommand,
}

func init() {
	hiddenVerbs[record.GateVerb] = func(_ context.Context, args []string, _, stderr io.Writer) int {
		fmt.Fprintln(stderr, "falcotest record:", record.Gate(args))
		return 126
	}
}

func recordCommand(ctx context.Context, args []string, _, stderr io.Writer) int {
	flags := flag.NewFlagSet("falcotest record", flag.ContinueOnError)
	flags.SetOutput(stderr)
	name := flags.String("o", "recording.scap", "the `file` to write")
	env := flags.String("env", "", "`names` of environment variables whose values are recorded, separated by commas, beside those that say where things are; all of them for *")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() == 0 {
		fmt.Fprintln(stderr, "falcotest record: no command was given: falcotest record -- COMMAND…")
		return 2
	}
	out, err := os.Create(*name)
	if err != nil {
		fmt.Fprintln(stderr, "falcotest record:", err)
		return 125
	}
	r, err := record.Command(ctx, flags.Args(), out, record.Options{Writer: capture.WriterOptions{
		Hostname: machine.Hostname(), CPUs: runtime.NumCPU(), Interfaces: machine.Interfaces(), Env: keptEnv(*env),
	}})
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		os.Remove(*name)
		fmt.Fprintln(stderr, "falcotest record:", err)
		return 125
	}
	fmt.Fprintf(stderr, "falcotest record: %d events in %s\n", r.Events, *name)
	return r.Code
}

func keptEnv(names string) func(string) bool {
	if names == "" {
		return nil
	}
	more := map[string]bool{}
	for n := range strings.SplitSeq(names, ",") {
		more[strings.TrimSpace(n)] = true
	}
	return func(name string) bool { return more["*"] || more[name] || capture.KeptEnv(name) }
}
