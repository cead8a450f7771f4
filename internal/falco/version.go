// SPDX-License-Identifier: Apache-2.0

package falco

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

var versionPattern = regexp.MustCompile(`(?m)(?:^Falco version:\s*|"falco_version":\s*")([^\s"]+)`)

// Version asks an executable for its version, and thereby whether it is a
// Falco.
func Version(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if m := versionPattern.FindSubmatch(out); m != nil {
		return string(m[1]), nil
	}
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) && len(exit.Stderr) > 0 {
			return "", fmt.Errorf("%s --version: %w: %s", path, err, strings.TrimSpace(string(exit.Stderr)))
		}
		return "", fmt.Errorf("%s --version: %w", path, err)
	}
	return "", fmt.Errorf("%s --version does not print a Falco's version: is it one?", path)
}
