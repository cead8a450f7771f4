// SPDX-License-Identifier: Apache-2.0

package falcotest_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/falcotest/go-falcotest/events"
)

// The actions that the scripts use beside the real ones: each goes wrong in a
// way of its own, or does something that is easy to miss.
var (
	_ = events.RegisterWithName(killsItself, "fault.KillsItself")
	_ = events.RegisterWithName(panics, "fault.Panics")
	_ = events.RegisterWithName(fails, "fault.Fails")
	_ = events.RegisterWithName(skips, "fault.Skips")
	_ = events.RegisterWithName(hangs, "fault.Hangs")
	_ = events.RegisterWithName(fails, "k8saudit.AsksOnce") // without a cluster, they do not run
	_ = events.RegisterWithName(fails, "k8saudit.AsksTwice")
	_ = events.RegisterWithName(opensNothing, "fault.OpensNothing")
	_ = events.RegisterWithName(opensFile, "fault.OpensFile")
	_ = events.RegisterWithName(makesFolder, "fault.MakesFolder")
	_ = events.RegisterWithName(makesFolder, "fault.MakesFolderAside", events.NearMiss("fault.OpensFile", "it makes a folder and opens no file"))
)

func killsItself(events.Helper) error {
	p, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	if err := p.Kill(); err != nil {
		return err
	}
	select {}
}

func panics(events.Helper) error {
	var counts map[string]int
	count(counts)
	return nil
}

//go:noinline
func count(counts map[string]int) { counts["x"]++ }

func fails(h events.Helper) error {
	h.Log().Info("about to fail")
	return fmt.Errorf("doing the deed: %w", errors.ErrUnsupported)
}

func skips(events.Helper) error {
	return &events.ErrSkipped{Reason: "the moon is not full"}
}

func hangs(h events.Helper) error {
	h.Log().Info("waiting for something that does not happen")
	select {}
}

func opensNothing(events.Helper) error { return nil }

// opensFile opens a file of its own, whose path ends in /etc/target.
func opensFile(h events.Helper) error {
	dir, err := os.MkdirTemp("", "opens-file-")
	if err != nil {
		return err
	}
	h.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Mkdir(filepath.Join(dir, "etc"), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "etc", "target"), []byte("x"), 0o644)
}

// makesFolder makes a folder of its own, which is called target.
func makesFolder(h events.Helper) error {
	dir, err := os.MkdirTemp("", "makes-folder-")
	if err != nil {
		return err
	}
	h.Cleanup(func() { os.RemoveAll(dir) })
	return os.Mkdir(filepath.Join(dir, "target"), 0o755)
}
