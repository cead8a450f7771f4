// SPDX-License-Identifier: Apache-2.0

//go:build unix

package kube_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/poll"

	"github.com/falcotest/go-falcotest/internal/kube"
)

// startAndHang is what TestKilled runs in a process of its own: it starts a
// cluster, says where it is, and waits to be killed.
func startAndHang() {
	c, err := kube.Start(context.Background(), kube.Options{Log: os.Stderr})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println(c.Config().Host, filepath.Dir(c.Kubeconfig()))
	select {}
}

// When the process that started a cluster is killed, the cluster ends too, and
// removes its files.
func TestKilled(t *testing.T) {
	needCluster(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "KUBE_TEST_HANG=1", "TMPDIR="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	host, dir, ok := strings.Cut(strings.TrimSpace(line), " ")
	if err != nil || !ok || host == "error:" {
		t.Fatalf("the process says %q, %v", line, err)
	}
	u, err := url.Parse(host)
	if err != nil {
		t.Fatal(err)
	}
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		if c, err := net.Dial("tcp", u.Host); err == nil {
			c.Close()
			return poll.Continue("the API server still listens at %s", u.Host)
		}
		if _, err := os.Stat(dir); err == nil {
			return poll.Continue("%s is still there", dir)
		}
		return poll.Success()
	}, poll.WithTimeout(time.Minute), poll.WithDelay(20*time.Millisecond))
}

// When it is killed while the cluster starts, the cluster does not get any further,
// and removes its files as well.
func TestKilledEarly(t *testing.T) {
	needCluster(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	temp := t.TempDir()
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "KUBE_TEST_HANG=1", "TMPDIR="+temp)
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// It listens first, and then makes what a cluster needs.
	lines := bufio.NewScanner(log)
	for lines.Scan() && !strings.Contains(lines.Text(), "Serving securely") {
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		left, err := os.ReadDir(temp)
		if err != nil {
			return poll.Error(err)
		}
		if len(left) > 0 {
			return poll.Continue("%v is still there", left)
		}
		return poll.Success()
	}, poll.WithTimeout(time.Minute), poll.WithDelay(20*time.Millisecond))
}
