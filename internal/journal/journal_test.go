// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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

// A line that is torn, or that cannot be understood, hides no other.
func TestTornLines(t *testing.T) {
	parent, d := create(t)
	var want []string
	for i, before := range []string{"", `{"op":{"id":"torn","ki`, "{}{\n\x00\x00\x00", "\x00\x00\n\n", ""} {
		file := filepath.Join(parent, strconv.Itoa(i))
		if _, err := d.file.WriteString(before); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(d.Add(Op{ID: strconv.Itoa(i), Kind: Remove, Path: file}), os.WriteFile(file, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		want = append([]string{"remove " + file}, want...)
	}
	f, err := os.Open(filepath.Join(d.Path(), fileName))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	todo, err := read(f)
	if err != nil {
		t.Error(err)
	}
	var got []string
	for _, op := range todo {
		got = append([]string{op.String()}, got...)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// What is not understood is told, and does not keep the rest from being undone.
	if err := d.append(line{Op: &Op{ID: "x", Kind: "of a later version", Path: "/x"}}); err != nil {
		t.Fatal(err)
	}
	abandon(t, d)
	report, err := Recover(parent)
	if err == nil || !strings.Contains(err.Error(), "of a later version") || len(report) != len(want) {
		t.Errorf("recovered %q, %v", report, err)
	}
	for i := range want {
		if _, err := os.Stat(filepath.Join(parent, strconv.Itoa(i))); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("file %d: %v", i, err)
		}
	}
}

// After a write that failed half way, the next line starts anew.
func TestWriteAfterATornOne(t *testing.T) {
	_, d := create(t)
	if _, err := d.file.WriteString("half of a li"); err != nil {
		t.Fatal(err)
	}
	d.torn = true
	if err := errors.Join(d.Add(Op{ID: "1", Kind: Remove, Path: "/x"}), d.Add(Op{ID: "2", Kind: Remove, Path: "/y"})); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(d.Path(), fileName))
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(string(b), "\n"); len(lines) != 4 || lines[0] != "half of a li" {
		t.Errorf("it holds %q", b)
	}
}

// A directory that somebody still writes to, or that is very full, holds no one
// up, and the journal stays until all else is gone.
func TestCloseGivesUp(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("open files cannot be removed")
	}
	defer func(d time.Duration) { patience = d }(patience)
	patience = 100 * time.Millisecond
	parent, d := create(t)
	writer, err := os.OpenRoot(d.Temp())
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	ended := make(chan struct{})
	var writers sync.WaitGroup
	for i := range 4 {
		writers.Go(func() {
			for k := 0; ; k++ {
				select {
				case <-ended:
					return
				default:
					writer.WriteFile(fmt.Sprintf("%d-%d", i, k), nil, 0o600)
				}
			}
		})
	}
	_, err = d.Close()
	close(ended)
	writers.Wait()
	if err == nil { // it got ahead of the writers
		t.Skip("nothing was written meanwhile")
	}
	left, _ := filepath.Glob(filepath.Join(parent, "*", fileName))
	if !errors.Is(err, errSlow) || len(left) != 1 {
		t.Errorf("got %v, and %q", err, left)
	}
	patience = time.Hour
	if _, err := Recover(parent); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(parent); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Directories that died young are removed, if they are empty.
func TestRecoverUnfinished(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("directories have one name")
	}
	parent := t.TempDir()
	young, strange := privateName(filepath.Join(parent, prefix+"young")), privateName(filepath.Join(parent, prefix+"strange"))
	if err := errors.Join(os.Mkdir(young, 0o700), os.Mkdir(strange, 0o700), os.WriteFile(filepath.Join(strange, "file"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := Recover(parent); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(parent)
	if err != nil || len(left) != 1 || left[0].Name() != filepath.Base(strange) {
		t.Errorf("left are %v, %v", left, err)
	}
}

// Nothing outside is touched by links that are in a directory, also where modes
// must be changed to remove it.
func TestRemoveFollowsNoLinks(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files have no modes")
	}
	parent, d := create(t)
	outside := filepath.Join(parent, "outside")
	shut := filepath.Join(d.Temp(), "shut")
	err := errors.Join(os.Mkdir(outside, 0o500), os.Mkdir(shut, 0o700), os.Symlink(outside, filepath.Join(shut, "link")),
		os.Symlink(outside, filepath.Join(d.Temp(), "link")), os.Chmod(shut, 0))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Close(); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(outside); err != nil || info.Mode().Perm() != 0o500 {
		t.Errorf("%v, %v", info, err)
	}
}

// A file is not restored through a link that has taken its place, or that of a
// folder on the way to it, nor into a pipe.
func TestRestoreFollowsNoLinks(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("paths are followed here")
	}
	for _, what := range []string{"link", "folder", "pipe"} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			precious := filepath.Join(dir, "precious", "file")
			file := filepath.Join(dir, "folder", "file")
			err := errors.Join(os.Mkdir(filepath.Dir(precious), 0o700), os.Mkdir(filepath.Dir(file), 0o700),
				os.WriteFile(precious, []byte("precious"), 0o600), os.WriteFile(file, []byte("before"), 0o644))
			if err != nil {
				t.Fatal(err)
			}
			op, err := Save(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			switch what {
			case "link":
				err = os.Symlink(precious, file)
			case "folder":
				err = errors.Join(os.Remove(filepath.Dir(file)), os.Symlink(filepath.Dir(precious), filepath.Dir(file)))
			case "pipe":
				err = exec.Command("mkfifo", file).Run()
			}
			if err != nil {
				t.Skip(err)
			}
			if err := op.Undo(); err == nil {
				t.Error("it was restored")
			}
			b, err := os.ReadFile(precious)
			info, _ := os.Stat(precious)
			if err != nil || string(b) != "precious" || info.Mode() != 0o600 {
				t.Errorf("it holds %q, %v, %v", b, info.Mode(), err)
			}
		})
	}
	// Links that were there when it was saved are no obstacle.
	dir := t.TempDir()
	file := filepath.Join(dir, "link", "file")
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "folder"), 0o700), os.Symlink("folder", filepath.Join(dir, "link")), os.WriteFile(file, []byte("before"), 0o600)); err != nil {
		t.Fatal(err)
	}
	op, err := Save(file)
	if err = errors.Join(err, os.Remove(file)); err == nil {
		err = op.Undo()
	}
	if b, is := os.ReadFile(file); err != nil || is != nil || string(b) != "before" {
		t.Errorf("it holds %q, %v, %v", b, err, is)
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
	journal := filepath.Join(d.Path(), fileName)
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
		todo, _ := read(bytes.NewReader(data))
		for _, op := range todo {
			if op.check() != nil {
				t.Errorf("%+v was read", op)
			}
		}
	})
}
