// SPDX-License-Identifier: Apache-2.0

package helper

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/child"
)

// maxDepth bounds how deep spawned children may spawn children.
const maxDepth = 16

func (h *helper) SpawnAs(name string, action string, args ...string) error {
	return h.spawn(name, action, args, placeCopy)
}

func (h *helper) SpawnAsWithSymlink(name string, action string, args ...string) error {
	return h.spawn(name, action, args, os.Symlink)
}

// spawn runs an action from the executable that place puts under the name.
func (h *helper) spawn(name, action string, args []string, place func(exe, at string) error) error {
	describe := fmt.Sprintf("spawning %s for %s", name, action)
	if name == "" || strings.ContainsRune(name, '/') {
		return fmt.Errorf("%s: the name must be that of a file, without a slash", describe)
	}
	if _, ok := events.All()[action]; !ok {
		return fmt.Errorf("%s: no action of that name is registered", describe)
	}
	if h.process.Depth+1 > maxDepth {
		return fmt.Errorf("%s: %d spawned children are above this one, the most allowed", describe, maxDepth)
	}
	args, sleep, err := splitSleep(args)
	if err != nil {
		return fmt.Errorf("%s: %w", describe, err)
	}
	folder, err := os.MkdirTemp(Folder(), "falcotest-"+ID()+"-")
	if err != nil {
		return fmt.Errorf("%s: %w", describe, err)
	}
	remove := func() { os.RemoveAll(folder) }
	h.Cleanup(remove)
	if err := os.Chmod(folder, 0o755); err != nil {
		return fmt.Errorf("%s: %w", describe, err)
	}
	path := filepath.Join(folder, name)
	if err := place(h.ExePath(), path); err != nil {
		return fmt.Errorf("%s: %w", describe, err)
	}
	var output bytes.Buffer
	cmd := exec.Cmd{
		Path:   path,
		Args:   append([]string{name}, args...),
		Env:    spawnEnvironment(action, h.process.Depth+1, sleep),
		Stdout: &output,
		Stderr: &output,
		// A grandchild that keeps the pipe open does not hold up the action.
		WaitDelay: time.Second,
	}
	h.log.WithField("args", strings.Join(args, " ")).Debugf("spawning %s for %s", name, action)
	err = cmd.Run()
	text := strings.TrimSpace(output.String())
	if text != "" {
		for line := range strings.Lines(text) {
			h.log.Infof("%s: %s", name, strings.TrimRight(line, "\n"))
		}
	}
	remove()
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return nil
	case errors.As(err, &exit) && exit.ExitCode() == child.ExitSkipped:
		_, reason, _ := strings.Cut(text, child.SkipMark)
		return &events.ErrSkipped{Reason: strings.TrimSpace(reason)}
	case text != "":
		return fmt.Errorf("%s: %w: %s", describe, err, text)
	}
	return fmt.Errorf("%s: %w", describe, err)
}

// splitSleep takes "--sleep D" out of a child's arguments.
func splitSleep(args []string) (rest []string, sleep time.Duration, err error) {
	for i := 0; i < len(args); i++ {
		if args[i] != "--sleep" {
			rest = append(rest, args[i])
			continue
		}
		if i+1 == len(args) {
			return nil, 0, errors.New("--sleep lacks a duration")
		}
		i++
		if sleep, err = time.ParseDuration(args[i]); err != nil {
			return nil, 0, fmt.Errorf("--sleep: %w", err)
		}
	}
	return rest, sleep, nil
}

func spawnEnvironment(action string, depth int, sleep time.Duration) []string {
	env := []string{child.EnvID + "=" + ID()}
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		switch name {
		case child.EnvID, child.EnvSpawn, child.EnvDepth, child.EnvSleep:
		default:
			env = append(env, kv)
		}
	}
	env = append(env, child.EnvSpawn+"="+action, fmt.Sprintf("%s=%d", child.EnvDepth, depth))
	if sleep > 0 {
		env = append(env, child.EnvSleep+"="+sleep.String())
	}
	return env
}

// placeCopy puts a copy of the executable at a path: a hard link where the file
// system allows one, else a reflink or a plain copy, as the kernel can.
func placeCopy(exe, at string) error {
	if os.Link(exe, at) == nil {
		return nil
	}
	from, err := os.Open(exe)
	if err != nil {
		return fmt.Errorf("copying the executable: %w", err)
	}
	defer from.Close()
	to, err := os.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return fmt.Errorf("copying the executable: %w", err)
	}
	// On Linux this is copy_file_range(2), which shares the blocks where the
	// file system can.
	if _, err := io.Copy(to, from); err != nil {
		to.Close()
		return fmt.Errorf("copying the executable: %w", err)
	}
	if err := to.Close(); err != nil {
		return fmt.Errorf("copying the executable: %w", err)
	}
	return nil
}
