// SPDX-License-Identifier: Apache-2.0

package perform

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/falcotest/go-falcotest/internal/child/inside"
	"github.com/falcotest/go-falcotest/internal/journal"
	"github.com/falcotest/go-falcotest/internal/scenario"
)

// changes are the arguments of system calls that name what the call changes.
var changes = map[string][]string{
	"open": {"pathname"}, "openat": {"pathname"}, "openat2": {"pathname"}, "creat": {"pathname"},
	"link": {"newPath"}, "linkat": {"newPath"}, "symlink": {"linkPath"}, "symlinkat": {"linkPath"},
	"mkdir": {"path"}, "mkdirat": {"path"}, "mknod": {"path"}, "mknodat": {"path"},
	"rename": {"oldPath", "newPath"}, "renameat": {"oldPath", "newPath"}, "renameat2": {"oldPath", "newPath"},
	"unlink": {"path"}, "unlinkat": {"path"}, "rmdir": {"path"}, "truncate": {"path"},
	"chmod": {"pathname"}, "fchmodat": {"pathname"}, "fchmodat2": {"pathname"},
	"chown": {"pathname"}, "lchown": {"pathname"}, "fchownat": {"pathname"},
	"setxattr": {"path"}, "lsetxattr": {"path"}, "removexattr": {"path"}, "lremovexattr": {"path"}, "utimensat": {"pathname"},
}

// readOnly is what O_ACCMODE and the flags that change a file leave of an open
// that only reads.
const writing = 0o3 | 0o100 | 0o1000 // O_ACCMODE, O_CREAT, O_TRUNC

// changedPaths are the files and directories that a scenario may make or
// change, as far as it names them.
func changedPaths(s *scenario.Scenario) []string {
	var paths []string
	folders := map[string]string{} // of directories, by the binding of their descriptor
	add := func(path, dir string) {
		switch {
		case path == "":
			return
		case filepath.IsAbs(path):
		case dir != "":
			path = filepath.Join(dir, path)
		default:
			here, err := os.Getwd()
			if err != nil {
				return
			}
			path = filepath.Join(here, path)
		}
		if path = filepath.Clean(path); !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	for _, r := range s.Resources {
		if r.FD == nil || r.FD.Subtype != "file" && r.FD.Subtype != "directory" {
			continue
		}
		add(r.FD.Path, "")
		if r.FD.Subtype == "directory" {
			folders[strings.ToLower(r.Name+".fd")] = r.FD.Path
		}
	}
	for _, step := range s.Steps {
		if step.Write != nil {
			add(step.Write.Path, "")
		}
		if step.Call == nil {
			continue
		}
		flags, ok := step.Call.Args["flags"]
		if !ok {
			flags = step.Call.Args["how.flags"]
		}
		if strings.HasPrefix(step.Call.Name, "open") && flags.Number != nil && *flags.Number&writing == 0 {
			continue
		}
		for _, name := range changes[step.Call.Name] {
			dir := ""
			for _, arg := range []string{"dirFd", "newDirFd", "oldDirFd"} {
				if v := step.Call.Args[arg]; v.Binding != "" && (arg == "dirFd" || strings.HasPrefix(name, arg[:3]) || name == "linkPath" && arg == "newDirFd") {
					dir = folders[strings.ToLower(v.Binding)]
				}
			}
			if v := step.Call.Args[name]; v.Text != nil {
				add(*v.Text, dir)
			}
		}
	}
	return paths
}

// Paths are the files and directories that a scenario names and may make or change.
func Paths(s *scenario.Scenario) []string {
	paths := changedPaths(s)
	add := func(p *scenario.Process) {
		if p != nil && p.ExePath != "" {
			paths = append(paths, filepath.Clean(p.ExePath))
		}
	}
	for i := range s.Processes {
		add(&s.Processes[i])
	}
	for i := range s.Resources {
		add(s.Resources[i].Process)
	}
	return paths
}

// put has what is at a path now put back when the test has ended.
func put(h *inside.Process, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		top := path
		for parent := filepath.Dir(top); parent != top; parent = filepath.Dir(parent) {
			if _, err := os.Lstat(parent); err == nil {
				break
			}
			top = parent
		}
		return h.Undo(journal.Op{Kind: journal.RemoveTree, Path: top})
	case err != nil:
		return fmt.Errorf("looking at what a test changes: %w", err)
	case !info.Mode().IsRegular():
		return nil
	}
	op, err := journal.Save(path)
	if errors.Is(err, fs.ErrPermission) {
		return nil // who may not read it will not change it
	}
	if err != nil {
		return err
	}
	return h.Undo(op)
}
