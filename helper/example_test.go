// SPDX-License-Identifier: Apache-2.0

package helper_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/helper"
)

func ExampleRunner() {
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	r := helper.Runner{Log: quiet, Deadline: 20 * time.Second}
	for _, res := range r.Run(context.Background(), "helper.DoNothing", "no.such.Action") {
		fmt.Println(res.Action, res.Outcome, res.Err)
	}
	// Output:
	// helper.DoNothing completed <nil>
	// no.such.Action failed no action "no.such.Action" is registered
}

// An action that makes a file, which is removed even when the action is killed.
func ExampleCreateFile() {
	events.RegisterWithName(func(h events.Helper) error {
		return helper.CreateFile(h, "/tmp/falcotest-"+helper.ID()+".conf", []byte("x = y\n"), 0o644)
	}, "example.MakeConfig")
	// Output:
}

func ExampleMain() {
	// In main, before anything else:
	helper.Main()
	fmt.Fprintln(os.Stdout, "this is no action's process")
	// Output: this is no action's process
}

// The helper actions run like any others, here one after another.
func ExampleRunner_Match() {
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	helper.Recover(quiet) // Run does so, too
	r := helper.Runner{Log: quiet, Disabled: true}
	for _, name := range r.Match(regexp.MustCompile(`^helper\.(DoNothing|NetworkActivity)$`)) {
		fmt.Println(name)
	}
	all := []events.Action{
		helper.DoNothing, helper.ExecLs, helper.RunShell, helper.InboundConnection, helper.OutboundConnection,
		helper.NetworkActivity, helper.CombinedServerClient,
	}
	fmt.Println(len(all))
	// Output:
	// helper.DoNothing
	// helper.NetworkActivity
	// 7
}

func ExampleResult() {
	r := helper.Result{Action: "helper.ExecLs", Outcome: helper.Skipped, Reason: "there is no ls on the PATH"}
	fmt.Println(r.Action, r.Outcome.String()+":", r.Reason)
	// Output: helper.ExecLs skipped: there is no ls on the PATH
}

// What an action changes is undone, whatever becomes of its process.
func ExampleUndo() {
	setUp := func(h events.Helper) error {
		dir, err := helper.TempDir(h)
		if err != nil {
			return err
		}
		if err := helper.ModifyFile(h, "/etc/hosts", func() error { return os.Remove("/etc/hosts") }); err != nil {
			return err
		}
		return helper.Undo(h, helper.RemoveTree(dir))
	}
	kill, err := helper.Kill(os.Getpid())
	if err != nil {
		fmt.Println(err)
	}
	ops := []helper.Op{
		helper.RemoveFile("/run/x"), helper.RemoveInterface("ft0"),
		helper.RemoveCgroup("/sys/fs/cgroup/x"), helper.Unmount("/mnt"), kill,
	}
	fmt.Println(setUp != nil, ops[0].String())
	// Output: true remove /run/x
}
