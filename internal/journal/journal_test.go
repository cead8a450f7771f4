// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func create(t *testing.T) (parent string, d *Dir) {
	t.Helper()
	parent = t.TempDir()
	d, err := Create(parent, "x")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return parent, d
}

func TestCloseUndoesInReverse(t *testing.T) {
	parent, d := create(t)
	outer, inner := filepath.Join(parent, "outer"), filepath.Join(parent, "outer", "inner")
	for _, op := range []Op{{ID: "1", Kind: Remove, Path: outer}, {ID: "2", Kind: Remove, Path: inner}, {ID: "3", Kind: Remove, Path: filepath.Join(parent, "never")}} {
		if err := d.Add(op); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	undone, err := d.Close()
	if err != nil || len(undone) != 3 || undone[2].Path != outer {
		t.Errorf("undone %v, %v", undone, err)
	}
	if left, _ := os.ReadDir(parent); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := d.Add(Op{Kind: Remove, Path: outer}); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("adding to a closed journal: %v", err)
	}
}

func TestCreatePrivate(t *testing.T) {
	parent := t.TempDir()
	d, err := CreatePrivate(parent, "x")
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(d.Path())
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v: want a directory of this user's alone", info, err)
	}
	if err := os.WriteFile(filepath.Join(d.Path(), "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// A process that is killed lets go of its files.
	d.file.Close()
	if _, err := Recover(parent); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(parent); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestDoneIsNotUndone(t *testing.T) {
	parent, d := create(t)
	file := filepath.Join(parent, "file")
	if err := d.Add(Op{ID: "1", Kind: Remove, Path: file}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.Done("1"), d.Done("unknown")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if undone, err := d.Close(); len(undone) > 0 || err != nil {
		t.Errorf("undone %v, %v", undone, err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

func TestRestore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	when := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	restored := func(change func()) {
		t.Helper()
		if err := errors.Join(os.WriteFile(file, []byte("before"), 0o600), os.Chmod(file, 0o640), os.Chtimes(file, when, when)); err != nil {
			t.Fatal(err)
		}
		op, err := Save(file)
		if err != nil {
			t.Fatal(err)
		}
		change()
		for range 2 { // twice is as good as once
			if err := op.Undo(); err != nil {
				t.Fatal(err)
			}
		}
		data, _ := os.ReadFile(file)
		info, err := os.Stat(file)
		if err != nil || string(data) != "before" || !info.ModTime().Equal(when) || runtime.GOOS != "windows" && info.Mode() != 0o640 {
			t.Errorf("it holds %q, %v, %v, %v", data, info.Mode(), info.ModTime(), err)
		}
	}
	restored(func() { os.WriteFile(file, []byte("something longer"), 0o600); os.Chmod(file, 0o777) })
	restored(func() { os.Remove(file) })
	if _, err := Save(filepath.Dir(file)); err == nil {
		t.Error("a directory was saved")
	}
	if _, err := Save(filepath.Join(file, "x")); err == nil {
		t.Error("what does not exist was saved")
	}
}

func TestBadOperations(t *testing.T) {
	_, d := create(t)
	for _, op := range []Op{
		{}, {Kind: "unknown", Path: "/x"}, {Kind: Remove}, {Kind: Remove, Path: "relative"}, {Kind: RemoveTree, Path: "/"},
		{Kind: RemoveTree, Path: "/a/.."}, {Kind: Restore, Path: "/x"}, {Kind: Interface}, {Kind: Kill, PID: 1, Start: 1}, {Kind: Kill, PID: 5},
	} {
		if err := d.Add(op); err == nil {
			t.Errorf("%+v was added", op)
		}
		if err := op.Undo(); err == nil {
			t.Errorf("%+v was undone", op)
		}
	}
}

func TestRecoverLeavesTheLivingAlone(t *testing.T) {
	parent, d := create(t)
	if report, err := Recover(parent); err != nil || len(report) > 0 {
		t.Errorf("recovered %q, %v", report, err)
	}
	if _, err := os.Stat(d.Path()); err != nil {
		t.Error(err)
	}
}

// abandon lets the lock go as the death of the owner does.
func abandon(t *testing.T, d *Dir) {
	t.Helper()
	if err := d.file.Close(); err != nil {
		t.Fatal(err)
	}
	d.file = nil
}

func TestRecover(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no lock that goes with its owner")
	}
	parent, d := create(t)
	file := filepath.Join(parent, "file")
	if err := d.Add(Op{ID: "1", Kind: Remove, Path: file}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// The machine stopped in the middle of a line.
	if _, err := d.file.WriteString(`{"op":{"id":"2","ki`); err != nil {
		t.Fatal(err)
	}
	abandon(t, d)
	for _, other := range []string{"falcotest-none", "other-x"} {
		if err := os.Mkdir(filepath.Join(parent, other), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	report, err := Recover(parent)
	if err != nil || len(report) != 2 || !strings.Contains(report[0], "undid what an earlier run left: remove "+file) {
		t.Errorf("recovered %q, %v", report, err)
	}
	if left, _ := os.ReadDir(parent); len(left) != 2 {
		t.Errorf("left are %v", left)
	}
}

func TestRecoverTrustsNoOneElse(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files have no modes")
	}
	parent, d := create(t)
	file := filepath.Join(parent, "file")
	if err := errors.Join(d.Add(Op{ID: "1", Kind: Remove, Path: file}), os.WriteFile(file, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	journal := d.file.Name()
	abandon(t, d)
	if err := os.Chmod(journal, 0o666); err != nil {
		t.Fatal(err)
	}
	if report, err := Recover(parent); err != nil || len(report) > 0 {
		t.Errorf("a journal that others may write to: %q, %v", report, err)
	}
	if err := errors.Join(os.Rename(journal, filepath.Join(parent, "elsewhere")), os.Chmod(filepath.Join(parent, "elsewhere"), 0o600),
		os.Symlink(filepath.Join(parent, "elsewhere"), journal)); err != nil {
		t.Fatal(err)
	}
	if report, err := Recover(parent); err != nil || len(report) > 0 {
		t.Errorf("a journal that is a link: %q, %v", report, err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

func TestKill(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("processes are named on Linux only")
	}
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Skipf("no sleep to kill: %v", err)
	}
	start, err := StartOf(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	// Another process of the same number is not meant.
	if err := (Op{Kind: Kill, PID: cmd.Process.Pid, Start: start + 1}).Undo(); err != nil {
		t.Error(err)
	}
	if now, err := StartOf(cmd.Process.Pid); err != nil || now != start {
		t.Errorf("it was killed: %v", err)
	}
	op := Op{Kind: Kill, PID: cmd.Process.Pid, Start: start}
	if err := op.Undo(); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("it was not killed")
	}
	if err := op.Undo(); err != nil {
		t.Errorf("killing it again: %v", err)
	}
}

func TestInterfaceThatIsGone(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("interfaces are removed on Linux only")
	}
	if err := (Op{Kind: Interface, Path: "ft-no-such0"}).Undo(); err != nil {
		t.Error(err)
	}
}

func FuzzRead(f *testing.F) {
	for _, l := range []line{{Op: &Op{ID: "1", Kind: Remove, Path: "/x"}}, {Done: "1"}} {
		data, _ := json.Marshal(l)
		f.Add(append(data, '\n'))
	}
	f.Add([]byte("{}\n{\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		todo, err := read(bytes.NewReader(data))
		for _, op := range todo {
			if err == nil && op.check() != nil {
				t.Errorf("%+v was read", op)
			}
		}
	})
}
