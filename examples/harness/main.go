// SPDX-License-Identifier: Apache-2.0

// Command harness runs actions without go test: it lists the registered ones,
// selects some by regular expression, runs them with the Runner and prints what
// became of each. Whether a rule fired is for whoever watches the machine.
//
//	go run ./examples/harness -list
//	go run ./examples/harness -actions 'syscall\.(RunShellUntrusted|Find.*)'
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"text/tabwriter"
	"time"

	"github.com/sirupsen/logrus"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	_ "github.com/falcotest/go-falcotest/events/k8saudit"
	_ "github.com/falcotest/go-falcotest/events/syscall"
	"github.com/falcotest/go-falcotest/helper"
)

func main() {
	helper.Main() // in an action's process, this does not return
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "harness:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var (
		flags    = flag.NewFlagSet("harness", flag.ContinueOnError)
		list     = flags.Bool("list", false, "list the actions and run none")
		pattern  = flags.String("actions", `^syscall\.`, "run the actions whose names match this regular expression")
		disabled = flags.Bool("disabled", false, "with those that are disabled by default")
		sleep    = flags.Duration("sleep", 0, "wait so long before each action")
		deadline = flags.Duration("deadline", 30*time.Second, "how long an action may run")
		verbose  = flags.Bool("v", false, "show what the actions log")
	)
	if err := flags.Parse(args); err != nil {
		return err
	}
	re, err := regexp.Compile(*pattern)
	if err != nil {
		return fmt.Errorf("reading -actions: %w", err)
	}
	log := logrus.New()
	if !*verbose {
		log.SetLevel(logrus.WarnLevel)
	}
	r := helper.Runner{
		Log:      log,
		Sleep:    *sleep,
		Kube:     genericclioptions.NewConfigFlags(true),
		Disabled: *disabled,
		Deadline: *deadline,
	}
	names := r.Match(re)
	if len(names) == 0 {
		return fmt.Errorf("no action matches %s", *pattern)
	}
	if *list {
		for _, name := range names {
			fmt.Fprintln(out, name)
		}
		return nil
	}
	failed := 0
	tw := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "ACTION\tOUTCOME\tTIME\tWHY")
	for _, res := range r.Run(ctx, names...) {
		why := res.Reason
		if res.Err != nil {
			why = res.Err.Error()
			failed++
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", res.Action, res.Outcome, res.Ended.Sub(res.Started).Round(time.Millisecond), why)
	}
	if err := tw.Flush(); err != nil {
		return fmt.Errorf("printing the results: %w", err)
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d actions failed", failed, len(names))
	}
	return nil
}
