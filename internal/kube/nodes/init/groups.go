// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// hierarchies is where control groups are mounted.
const hierarchies = "/sys/fs/cgroup"

// A group is the control group of the node's processes in one hierarchy. They
// see it as the hierarchy's root.
type group struct {
	Mount   string // where the hierarchy is mounted: there or below
	Type    string // "cgroup" or "cgroup2"
	Options string // of the mount
	Path    string // the group's folder, which exists
}

// outside is the group that has a node's group below it, held open, since the
// node sees neither of them.
type outside struct {
	parent *os.Root
	procs  *os.File
	name   string
}

// enterGroups moves this process into the node's groups, and makes them the
// roots of what the node sees.
func enterGroups(groups []group) (left []outside, err error) {
	for _, g := range groups {
		o := outside{name: filepath.Base(g.Path)}
		if o.parent, err = os.OpenRoot(filepath.Dir(g.Path)); err != nil {
			return left, err
		}
		if o.procs, err = o.parent.OpenFile("cgroup.procs", os.O_WRONLY, 0); err != nil {
			return left, err
		}
		left = append(left, o)
		if err := os.WriteFile(filepath.Join(g.Path, "cgroup.procs"), []byte("0"), 0); err != nil {
			return left, fmt.Errorf("joining a control group: %w", err)
		}
	}
	if err := syscall.Unshare(syscall.CLONE_NEWCGROUP); err != nil {
		return left, fmt.Errorf("making a namespace of control groups: %w", err)
	}
	return left, nil
}

// leaveGroups moves this process, the only one that is left, out of the node's
// groups, and removes them with those that pods had.
func leaveGroups(left []outside) {
	for _, o := range left {
		o.procs.WriteString("0")
		// A group has a process until that has been waited for, by whomever.
		for range 100 {
			err := removeGroup(o.parent, o.name)
			if err == nil || errors.Is(err, fs.ErrNotExist) {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// removeGroup removes the folders of a control group, from below: their files go
// with them.
func removeGroup(parent *os.Root, name string) error {
	dir, err := parent.OpenRoot(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	entries, err := fs.ReadDir(dir.FS(), ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeGroup(dir, e.Name()); err != nil {
				return err
			}
		}
	}
	return parent.Remove(name)
}

// mountGroups mounts the hierarchies anew, which shows what the node may see of
// them.
func mountGroups(groups []group) error {
	if len(groups) == 0 {
		return nil
	}
	links, err := linksIn(hierarchies) // such as cpu, to cpu,cpuacct
	if err != nil {
		return err
	}
	if err := syscall.Unmount(hierarchies, syscall.MNT_DETACH); err != nil {
		return fmt.Errorf("unmounting %s: %w", hierarchies, err)
	}
	const flags = syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC
	if groups[0].Mount != hierarchies {
		if err := syscall.Mount("tmpfs", hierarchies, "tmpfs", flags, "mode=755"); err != nil {
			return fmt.Errorf("mounting a folder for control groups: %w", err)
		}
	}
	for _, g := range groups {
		if err := os.MkdirAll(g.Mount, 0o755); err != nil {
			return err
		}
		if err := syscall.Mount(g.Type, g.Mount, g.Type, flags, g.Options); err != nil {
			return fmt.Errorf("mounting control groups at %s: %w", g.Mount, err)
		}
		if g.Type == "cgroup2" {
			if err := delegate(g.Mount); err != nil {
				return err
			}
		}
	}
	for name, to := range links {
		if err := os.Symlink(to, filepath.Join(hierarchies, name)); err != nil {
			return err
		}
	}
	return nil
}

// delegate lets groups below a root of version 2 have the root's controllers,
// which they can if no process is in the root itself.
func delegate(root string) error {
	inner := filepath.Join(root, "init")
	if err := os.Mkdir(inner, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(inner, "cgroup.procs"), []byte("0"), 0); err != nil {
		return fmt.Errorf("joining a control group: %w", err)
	}
	controllers, err := os.ReadFile(filepath.Join(root, "cgroup.controllers"))
	if err != nil {
		return err
	}
	for name := range strings.FieldsSeq(string(controllers)) {
		if err := os.WriteFile(filepath.Join(root, "cgroup.subtree_control"), []byte("+"+name), 0); err != nil {
			return fmt.Errorf("giving pods the controller %s: %w", name, err)
		}
	}
	return nil
}

func linksIn(dir string) (map[string]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	links := map[string]string{}
	for _, e := range entries {
		if e.Type()&fs.ModeSymlink != 0 {
			if links[e.Name()], err = os.Readlink(filepath.Join(dir, e.Name())); err != nil {
				return nil, err
			}
		}
	}
	return links, nil
}
