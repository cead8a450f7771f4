// SPDX-License-Identifier: Apache-2.0

package input

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	file, pipe := filepath.Join(dir, "file"), filepath.Join(dir, "pipe")
	if err := errors.Join(os.WriteFile(file, []byte("content"), 0o600), unix.Mkfifo(pipe, 0o600), os.Symlink("file", filepath.Join(dir, "link"))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{file, filepath.Join(dir, "link")} {
		f, err := Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(f); err != nil || string(b) != "content" {
			t.Errorf("%s holds %q, %v", name, b, err)
		}
		f.Close()
	}
	for _, name := range []string{pipe, dir, "/dev/zero"} {
		var pe *fs.PathError
		if _, err := Open(name); !errors.Is(err, ErrNotRegular) || !errors.As(err, &pe) || pe.Path != name {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := Open(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
