// SPDX-License-Identifier: Apache-2.0

//go:build ignore

// Command source is a Kubernetes cluster's API in one process: etcd and
// kube-apiserver, for tests. Package apiserver builds it, in a module of its
// own, whose files are module.mod and module.sum beside this one.
//
//	kube-apiserver DIR [flags of kube-apiserver]
//
// It keeps its data in DIR, which should be empty and private. It listens on
// a free loopback port and prints its URL as one line on standard output. When
// standard input ends, which it does when the process that started it is no
// more, or at SIGINT or SIGTERM, it stops, the API server before etcd, and
// removes DIR.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/embed"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// grace is how long a stop may take before the process just ends.
const grace = 10 * time.Second

func main() {
	if len(os.Args) < 2 || os.Args[1] == "" || os.Args[1][0] == '-' {
		fmt.Fprintln(os.Stderr, "usage: kube-apiserver DIR [flags of kube-apiserver]")
		os.Exit(2)
	}
	dir := os.Args[1]
	// One that is told to stop while it starts ends by this.
	klog.OsExit = func(code int) {
		remove(dir)
		os.Exit(code)
	}
	err := run(dir, os.Args[2:])
	if e := remove(dir); err == nil {
		err = e
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "kube-apiserver: %v\n", err)
		os.Exit(1)
	}
}

func run(dir string, args []string) error {
	// When whoever started this is no more, nobody reads what is logged either:
	// that must not end the process before it has cleaned up.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	context.AfterFunc(ctx, func() {
		time.AfterFunc(grace, func() {
			remove(dir)
			os.Exit(1)
		})
	})

	store, err := startEtcd(dir)
	if err != nil {
		return fmt.Errorf("starting etcd: %w", err)
	}
	defer store.Close()
	select {
	case <-store.Server.ReadyNotify():
	case err := <-store.Err():
		return fmt.Errorf("starting etcd: %w", err)
	case <-ctx.Done():
		return nil
	}

	opts := options.NewServerRunOptions()
	flags := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, set := range opts.Flags().FlagSets {
		flags.AddFlagSet(set)
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	// A listener of our own: no other process can take its port before the
	// server has it.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	opts.SecureServing.Listener = listener
	opts.SecureServing.BindAddress = listener.Addr().(*net.TCPAddr).IP
	opts.SecureServing.BindPort = listener.Addr().(*net.TCPAddr).Port
	opts.Etcd.StorageConfig.Transport.ServerList = []string{store.Config().ListenClientUrls[0].String()}

	if err := opts.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return err
	}
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	completed, err := opts.Complete(ctx)
	if err != nil {
		return err
	}
	if errs := completed.Validate(); len(errs) != 0 {
		return utilerrors.NewAggregate(errs)
	}
	fmt.Printf("https://%s\n", listener.Addr())
	if err := app.Run(ctx, completed); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// remove removes a folder, also while etcd still makes files in it.
func remove(dir string) (err error) {
	for range 100 {
		if err = os.RemoveAll(dir); err == nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}

// startEtcd starts etcd for this process alone: on sockets in dir, which
// nobody else can open, and without waiting for the disk, since the data does
// not outlive the process.
func startEtcd(dir string) (*embed.Etcd, error) {
	client := url.URL{Scheme: "unix", Path: filepath.Join(dir, "client.sock")}
	peer := url.URL{Scheme: "unix", Path: filepath.Join(dir, "peer.sock")}
	c := embed.NewConfig()
	c.Dir = filepath.Join(dir, "etcd")
	c.UnsafeNoFsync = true
	c.LogLevel = "fatal" // at its end it calls it an error that its listeners are closed
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	return embed.StartEtcd(c)
}
