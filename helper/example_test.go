// SPDX-License-Identifier: Apache-2.0

package helper_test

import (
	"context"
	"fmt"
	"io"
	"os"
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
}

func ExampleMain() {
	// In main, before anything else:
	helper.Main()
	fmt.Fprintln(os.Stdout, "this is no action's process")
	// Output: this is no action's process
}
