// SPDX-License-Identifier: Apache-2.0

package filelock

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func open(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	one, two := open(t, path), open(t, path)
	if ok, err := Try(one); !ok || err != nil {
		t.Fatalf("%v, %v", ok, err)
	}
	if ok, err := Try(two); ok || err != nil {
		t.Fatalf("it was locked twice: %v, %v", ok, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	if err := Wait(ctx, two); !errors.Is(err, enough) {
		t.Errorf("waiting ended with %v", err)
	}
	taken := make(chan error)
	go func() { taken <- Wait(t.Context(), two) }()
	one.Close()
	if err := <-taken; err != nil {
		t.Error(err)
	}
}

func TestNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	f := open(t, path)
	if !Names(path, f) {
		t.Error("a path does not name its file")
	}
	os.Remove(path)
	if Names(path, f) {
		t.Error("a path names a file that was removed")
	}
	if open(t, path); Names(path, f) {
		t.Error("a path names a file that was replaced")
	}
}
