// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package cluster_test has rules judged on every node of a cluster by the node's own
// Falco. This file is all that a repository of rules needs for that:
//
//	go tool falcotest image -push registry.example/rules:tests ./examples/cluster
//	FALCOTEST_NODES=all FALCOTEST_NODES_IMAGE=registry.example/rules:tests \
//		FALCOTEST_FALCO=unix:///run/falco/falco.sock go test ./examples/cluster
//
// Without FALCOTEST_NODES the same tests run here. The other file gives the tests of
// this project a cluster of three nodes, each with a Falco that tests play.
package cluster_test

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/falcotest"
)

func TestMain(m *testing.M) { falcotest.Main(m) }

func TestRules(t *testing.T) {
	falcotest.Run(t, falcotest.WithRules("rules/*.yaml"))
}

// Actions for these rules, beside those of events/syscall.
var (
	_ = events.RegisterWithName(opening("/etc/node-secret", "Read Node Secret"), "cluster.ReadNodeSecret")
	_ = events.RegisterWithName(opening("/lib/modules/other", "Look For Other Kernels"), "cluster.LookForOtherKernels")
	_ = events.RegisterWithName(makeFileInMemory, "cluster.MakeFileInMemory")
)

func opening(file, rule string) events.Action {
	return func(events.Helper) error {
		f, err := os.Open(file)
		if err == nil {
			f.Close()
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return seen(rule)
	}
}

func makeFileInMemory(events.Helper) error {
	fd, err := unix.MemfdCreate("x", unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	return errors.Join(unix.Close(fd), seen("Make File In Memory"))
}

// seen tells a Falco that tests play, where there is one, what another would have seen
// by itself.
func seen(rule string) error {
	conn, err := net.Dial("unix", "/run/falco/eyes.sock")
	if err != nil {
		return nil
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, os.Getenv("FALCOTEST_ID")+" "+rule+"\n"); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1)) // it has seen it
	return err
}
