// SPDX-License-Identifier: Apache-2.0

//go:build ignore

// Command nodes is what a cluster has besides etcd and kube-apiserver, for
// tests. Package programs builds it, in the module of apiserver.go.
//
//	kubernetes-nodes kube-scheduler|kube-controller-manager|kubelet [flags of it]
//
// It ends as by SIGTERM when standard input ends, which it does when the process
// that started it is no more; a kubelet ends with its node.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

var commands = map[string]func() *cobra.Command{
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kube-controller-manager": controllermanager.NewControllerManagerCommand,
	"kubelet":                 func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: kubernetes-nodes kube-scheduler|kube-controller-manager|kubelet [flags of it]")
		os.Exit(2)
	}
	// When whoever started this is no more, nobody reads what is logged either:
	// that must not end the process another way.
	signal.Ignore(syscall.SIGPIPE)
	if os.Args[1] != "kubelet" {
		go func() {
			io.Copy(io.Discard, os.Stdin)
			syscall.Kill(os.Getpid(), syscall.SIGTERM)
		}()
	}
	command := commands[os.Args[1]]()
	command.SetArgs(os.Args[2:])
	os.Exit(cli.Run(command))
}
