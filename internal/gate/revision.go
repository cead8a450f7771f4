// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Revision is an earlier state of a git repository: the commit from which a change
// departs. It is read by the program git, which is there wherever there is a
// checkout, reads every kind of repository, and weighs nothing in a test binary.
type Revision struct {
	// Name is what was asked for ("origin/main"), Commit the one that both that
	// and HEAD come from.
	Name, Commit string
	// Top is the folder of the checkout.
	Top string
}

// ErrShallow says that the history does not reach far enough back.
var ErrShallow = errors.New("the checkout is shallow")

// FindRevision finds the commit that a change departed from: where the history of
// HEAD in a folder's repository left that of the revision of the given name. It
// fails with [ErrShallow] where the history that was fetched does not tell.
func FindRevision(ctx context.Context, dir, name string) (*Revision, error) {
	fail := func(err error) (*Revision, error) {
		return nil, fmt.Errorf("comparing with %q: %w", name, err)
	}
	if _, err := exec.LookPath("git"); err != nil {
		return fail(fmt.Errorf("the program git is needed for that: %w", err))
	}
	if strings.HasPrefix(name, "-") || name == "" {
		return fail(errors.New("that is no name of a revision: want a branch, tag or commit, such as origin/main"))
	}
	top, err := git(ctx, dir, "rev-parse", "--show-toplevel")
	if err != nil {
		return fail(err)
	}
	r := &Revision{Name: name, Top: filepath.FromSlash(top)}
	shallow, err := git(ctx, dir, "rev-parse", "--is-shallow-repository")
	if err != nil {
		return fail(err)
	}
	if _, err := git(ctx, dir, "rev-parse", "--verify", "--quiet", "--end-of-options", name+"^{commit}"); err != nil {
		if shallow == "true" {
			return fail(fmt.Errorf("%w and does not have it: %s", ErrShallow, deepen))
		}
		remote, branch, _ := strings.Cut(name, "/")
		if branch == "" {
			remote, branch = "origin", name
		}
		return fail(fmt.Errorf("the repository has no such revision: git fetch %s %s gets it", remote, branch))
	}
	if r.Commit, err = git(ctx, dir, "merge-base", "--end-of-options", name, "HEAD"); err != nil {
		if shallow == "true" {
			return fail(fmt.Errorf("%w, so that it does not tell where HEAD departed from it: %s", ErrShallow, deepen))
		}
		return fail(fmt.Errorf("it and HEAD have no commit in common: %w", err))
	}
	return r, nil
}

const deepen = "fetch all of it by `git fetch --unshallow` (actions/checkout: with: {fetch-depth: 0}; GitLab: GIT_DEPTH: 0)"

// Extract writes the rules files (.yaml and .yml) that the revision had below its
// top into a folder, at their paths, and the symbolic links that lead nowhere else.
func (r *Revision) Extract(ctx context.Context, to string) error {
	fail := func(err error) error {
		return fmt.Errorf("reading the rules of %s (%.12s): %w", r.Name, r.Commit, err)
	}
	list, err := git(ctx, r.Top, "ls-tree", "-r", "-z", "--full-tree", r.Commit)
	if err != nil {
		return fail(err)
	}
	var ids bytes.Buffer
	var paths []string
	links := map[string]bool{}
	for entry := range strings.SplitSeq(list, "\x00") {
		head, path, ok := strings.Cut(entry, "\t")
		fields := strings.Fields(head) // mode, type, id
		if !ok || len(fields) != 3 || fields[1] != "blob" || !filepath.IsLocal(path) {
			continue
		}
		links[path] = fields[0] == "120000"
		if ext := filepath.Ext(path); links[path] || ext == ".yaml" || ext == ".yml" {
			paths = append(paths, path)
			ids.WriteString(fields[2] + "\n")
		}
	}
	if len(paths) == 0 {
		return nil
	}
	cmd := exec.CommandContext(ctx, "git", "cat-file", "--batch")
	cmd.Dir, cmd.Stdin = r.Top, &ids
	var problem bytes.Buffer
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if err != nil {
		return fail(fmt.Errorf("git cat-file: %w: %s", err, bytes.TrimSpace(problem.Bytes())))
	}
	for _, path := range paths {
		// Each is "ID TYPE SIZE\n", so many bytes, and a line end.
		line, rest, ok := bytes.Cut(out, []byte("\n"))
		fields := strings.Fields(string(line))
		if !ok || len(fields) != 3 {
			return fail(fmt.Errorf("git cat-file says %q of %s", line, path))
		}
		size, err := strconv.Atoi(fields[2])
		if err != nil || size < 0 || size >= len(rest) {
			return fail(fmt.Errorf("git cat-file: %s: %w", path, io.ErrUnexpectedEOF))
		}
		file := filepath.Join(to, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return fail(err)
		}
		if links[path] {
			target := filepath.FromSlash(string(rest[:size]))
			if target == filepath.Clean(target) && !filepath.IsAbs(target) && filepath.IsLocal(filepath.Join(filepath.Dir(filepath.FromSlash(path)), target)) {
				err = os.Symlink(target, file)
			}
		} else {
			err = os.WriteFile(file, rest[:size], 0o600)
		}
		if err != nil {
			return fail(err)
		}
		out = rest[size+1:]
	}
	return nil
}

// Inside is where a path of the checkout is in a folder that [Revision.Extract]
// filled. ok is false for a path outside of the checkout.
func (r *Revision) Inside(to, path string) (inside string, ok bool) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", false
	}
	// git has resolved links on the way to the checkout. Those in it are there at the
	// revision, too, unless they lead out of it.
	real, err := filepath.Rel(r.Top, resolved(abs))
	if err != nil || !filepath.IsLocal(real) {
		return "", false
	}
	if rel, err := filepath.Rel(r.Top, abs); err == nil && filepath.IsLocal(rel) {
		if _, err := os.Lstat(filepath.Join(to, rel)); err == nil || strings.ContainsAny(rel, "*?[") {
			return filepath.Join(to, rel), true
		}
	}
	return filepath.Join(to, real), true
}

// resolved resolves the links of as much of a path as exists: the rest may be a
// pattern.
func resolved(path string) string {
	rest := ""
	for dir := path; ; {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			return filepath.Join(real, rest)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return path
		}
		rest = filepath.Join(filepath.Base(dir), rest)
		dir = parent
	}
}

// git runs the program git and returns what it prints, without the line end.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	if err := cmd.Run(); err != nil {
		if msg := strings.TrimSpace(problem.String()); msg != "" {
			return "", fmt.Errorf("git %s: %s", args[0], msg)
		}
		return "", fmt.Errorf("git %s: %w", args[0], err)
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}
