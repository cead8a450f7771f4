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

// hierarchies returns a group for each hierarchy of control groups, whose Path is
// that of this process.
func hierarchies() ([]group, error) {
	own, err := ownGroups()
	if err != nil {
		return nil, err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var list []group
	for line := range strings.Lines(string(mounts)) {
		// 31 23 0:27 / /sys/fs/cgroup/pids rw,nosuid shared:9 - cgroup cgroup rw,pids
		mount, system, _ := strings.Cut(line, " - ")
		m, s := strings.Fields(mount), strings.Fields(system)
		if len(m) < 5 || len(s) < 3 || s[0] != "cgroup" && s[0] != "cgroup2" || m[4] != "/sys/fs/cgroup" && !strings.HasPrefix(m[4], "/sys/fs/cgroup/") {
			continue
		}
		g := group{Mount: m[4], Type: s[0]}
		var path string
		if g.Type == "cgroup" {
			options := slices.DeleteFunc(strings.Split(s[2], ","), func(o string) bool { return o == "rw" || o == "ro" || strings.Contains(o, "_agent=") })
			for _, controller := range options {
				path = own[controller]
			}
			if slices.ContainsFunc(options, func(o string) bool { return strings.HasPrefix(o, "name=") }) {
				options = append(options, "none")
			}
			g.Options = strings.Join(options, ",")
		} else {
			// No process may be in a group whose groups have controllers, except
			// in the root of all.
			controllers, _ := os.ReadFile(filepath.Join(g.Mount, "cgroup.controllers"))
			if path = own[""]; len(bytes.TrimSpace(controllers)) > 0 {
				path = m[3]
			}
		}
		inside, err := filepath.Rel(m[3], path)
		if err != nil || strings.HasPrefix(inside, "..") {
			inside = "." // this process is in a group that it does not see
		}
		g.Path = filepath.Join(g.Mount, inside)
		if !slices.ContainsFunc(list, func(other group) bool { return other.Mount == g.Mount }) {
			list = append(list, g)
		}
	}
	return list, nil
}

// ownGroups returns the path of this process's group by controller; that of
// version 2 has none.
func ownGroups() (map[string]string, error) {
	data, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	own := map[string]string{}
	for line := range strings.Lines(string(data)) {
		if f := strings.SplitN(strings.TrimSpace(line), ":", 3); len(f) == 3 { // 4:cpu,cpuacct:/user.slice
			for controller := range strings.SplitSeq(f[1], ",") {
				own[controller] = f[2]
			}
		}
	}
	return own, nil
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

// writable says why no groups can be made, or nil.
func writable() error {
	list, err := hierarchies()
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return errors.New("no control groups are mounted at /sys/fs/cgroup")
	}
	for _, g := range list {
		if err := unix.Access(g.Path, unix.W_OK); err != nil {
			return fmt.Errorf("control groups cannot be made in %s: %w", g.Path, err)
		}
	}
	return nil
}
