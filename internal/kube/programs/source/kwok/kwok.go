// SPDX-License-Identifier: Apache-2.0

//go:build ignore

// Command kwok is kwok, which plays nodes and their pods. Package programs builds
// it, in a module of its own, whose files are module.mod and module.sum beside
// this one.
//
//	kwok STAGES [flags of kwok]
//
// It first writes what nodes and pods go through to the file STAGES, which is to
// be among kwok's --config: kwok's own stages, with which nodes are ready, pods
// run, and those of Jobs are complete, at once. It ends when standard input does.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"
	nodes "sigs.k8s.io/kwok/kustomize/stage/node/fast"
	heartbeats "sigs.k8s.io/kwok/kustomize/stage/node/heartbeat-with-lease"
	pods "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
	"sigs.k8s.io/kwok/pkg/config"
	"sigs.k8s.io/kwok/pkg/kwok/cmd"
	"sigs.k8s.io/kwok/pkg/log"
)

func main() {
	if len(os.Args) < 2 || strings.HasPrefix(os.Args[1], "-") {
		fmt.Fprintln(os.Stderr, "usage: kwok STAGES [flags of kwok]")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "kwok:", err)
		os.Exit(1)
	}
}

func run(file string, args []string) error {
	stages := []string{nodes.DefaultNodeInit, heartbeats.DefaultNodeHeartbeatWithLease, pods.DefaultPodReady, pods.DefaultPodComplete, pods.DefaultPodDelete}
	if err := os.WriteFile(file, []byte(strings.Join(stages, "\n---\n")), 0o600); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	os.Args = append([]string{"kwok"}, args...) // where kwok's configuration looks, too
	flags := pflag.NewFlagSet("global", pflag.ContinueOnError)
	flags.ParseErrorsAllowlist.UnknownFlags = true
	flags.Usage = func() {}
	ctx, _ = log.InitFlags(ctx, flags)
	ctx, err := config.InitFlags(ctx, flags)
	if err != nil {
		return err
	}
	command := cmd.NewCommand(ctx)
	command.PersistentFlags().AddFlagSet(flags)
	return command.ExecuteContext(ctx)
}
