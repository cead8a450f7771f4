// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/journal"
)

// A group is the control group of a node's processes in one hierarchy; see the
// node's first process, which is told of it.
type group struct{ Mount, Type, Options, Path string }

// root is where control groups are mounted, there or below.
const root = "/sys/fs/cgroup"

// hierarchies returns a group for each hierarchy of control groups, whose Path is
// that of this process.
func hierarchies() ([]group, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	return parseHierarchies(string(mounts), string(own), hasControllers), nil
}

// hasControllers tells whether a hierarchy of version 2 is more than names.
func hasControllers(mount string) bool {
	controllers, _ := os.ReadFile(filepath.Join(mount, "cgroup.controllers"))
	return len(bytes.TrimSpace(controllers)) > 0
}

// parseHierarchies reads /proc/self/mountinfo and /proc/self/cgroup.
func parseHierarchies(mounts, own string, controllers func(mount string) bool) []group {
	paths := map[string]string{} // of this process's groups, by controller; version 2 has none
	for line := range strings.Lines(own) {
		if f := strings.SplitN(strings.TrimSpace(line), ":", 3); len(f) == 3 { // 4:cpu,cpuacct:/user.slice
			for controller := range strings.SplitSeq(f[1], ",") {
				paths[controller] = f[2]
			}
		}
	}
	var list []group
	for line := range strings.Lines(mounts) {
		// 31 23 0:27 / /sys/fs/cgroup/pids rw,nosuid shared:9 - cgroup cgroup rw,pids
		mount, system, _ := strings.Cut(line, " - ")
		m, s := strings.Fields(mount), strings.Fields(system)
		if len(m) < 5 || len(s) < 3 || m[4] != root && !strings.HasPrefix(m[4], root+"/") ||
			slices.ContainsFunc(list, func(g group) bool { return g.Mount == m[4] }) {
			continue
		}
		g := group{Mount: m[4], Type: s[0]}
		path := paths[""]
		switch {
		case g.Type == "cgroup":
			options := slices.DeleteFunc(strings.Split(s[2], ","), func(o string) bool { return paths[o] == "" })
			if len(options) == 0 {
				continue
			}
			path = paths[options[0]]
			if strings.HasPrefix(options[0], "name=") {
				options = append(options, "none") // no controllers
			}
			g.Options = strings.Join(options, ",")
		case g.Type != "cgroup2":
			continue
		case controllers(g.Mount):
			// No process may be in a group whose groups have controllers, except
			// in the root of all.
			path = m[3]
		}
		inside, err := filepath.Rel(m[3], path)
		if err != nil || strings.HasPrefix(inside, "..") {
			inside = "." // this process is in a group that it does not see
		}
		g.Path = filepath.Join(g.Mount, inside)
		list = append(list, g)
	}
	return list
}

// makeGroups makes a group of that name in each hierarchy, below this process's
// own, so that what holds for this process holds for the node.
func makeGroups(j *journal.Dir, name string) ([]group, error) {
	list, err := hierarchies()
	if err != nil {
		return nil, fmt.Errorf("looking for control groups: %w", err)
	}
	for i, g := range list {
		parent := g.Path
		list[i].Path = filepath.Join(parent, name)
		if err := j.Add(journal.Op{ID: list[i].Path, Kind: journal.Cgroup, Path: list[i].Path}); err != nil {
			return nil, err
		}
		if err := os.Mkdir(list[i].Path, 0o755); err != nil {
			return nil, fmt.Errorf("making a control group: %w", err)
		}
		// A group of version 1 lets no process in before it has these.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			value, err := os.ReadFile(filepath.Join(parent, file))
			if errors.Is(err, os.ErrNotExist) || g.Type != "cgroup" {
				continue
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(list[i].Path, file), bytes.TrimSpace(value), 0)
			}
			if err != nil {
				return nil, fmt.Errorf("making a control group: %w", err)
			}
		}
	}
	return list, nil
}

// groupless says why no groups can be made that pods can run in, or returns nil.
func groupless() error {
	list, err := hierarchies()
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return errors.New("no control groups are mounted at " + root)
	}
	for _, g := range list {
		if err := unix.Access(g.Path, unix.W_OK); err != nil {
			return fmt.Errorf("control groups cannot be made in %s: %w", g.Path, err)
		}
	}
	if g := list[0]; len(list) == 1 && g.Type == "cgroup2" {
		given, err := os.ReadFile(filepath.Join(g.Path, "cgroup.subtree_control"))
		if err != nil {
			return err
		}
		if !slices.Contains(strings.Fields(string(given)), "cpu") {
			return fmt.Errorf("groups in %s have no controller cpu, without which no pod starts (cgroup.subtree_control has %q)", g.Path, bytes.TrimSpace(given))
		}
	}
	return nil
}
