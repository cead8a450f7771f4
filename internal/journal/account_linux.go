// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	passwdFile = "/etc/passwd"
	groupFile  = "/etc/group"
)

// accountLock is the file that whoever changes the accounts locks: lckpwdf(3).
const accountLock = "/etc/.pwd.lock"

// firstID is where numbers are looked for that no user has: those of people and
// services are below, and those that containers map are above.
const firstID = 58000

// AddUsers makes users who do not exist on this machine, until the directory is
// closed. Of users that another run has made, it sees to it that they stay as
// long.
func (d *Dir) AddUsers(names ...string) error {
	unlock, err := lockAccounts()
	if err != nil {
		return fmt.Errorf("making the users %s: %w", strings.Join(names, ", "), err)
	}
	defer unlock()
	data, err := os.ReadFile(passwdFile)
	if err != nil {
		return fmt.Errorf("making the users %s: %w", strings.Join(names, ", "), err)
	}
	known, used := map[string]string{}, map[string]bool{} // lines by name, and numbers
	for line := range strings.Lines(string(data)) {
		if e := strings.Split(line, ":"); len(e) > 4 {
			used[e[2]] = true
			if known[e[0]] == "" {
				known[e[0]] = line
			}
		}
	}
	id := firstID
	for _, name := range names {
		if strings.ContainsAny(name, ":\n/") {
			continue
		}
		for used[strconv.Itoa(id)] {
			id++
		}
		number := strconv.Itoa(id)
		if line := known[name]; line != "" {
			e := strings.Split(line, ":")
			if !strings.HasPrefix(e[4], prefix) {
				continue // one of the machine's own
			}
			number = e[2]
		}
		used[number] = true
		own := prefix + rand.Text()[:12]
		for _, op := range []Op{
			{ID: own + "-user", Kind: Account, Path: passwdFile, Line: fmt.Sprintf("%s:x:%s:%s:%s:/nonexistent:/usr/sbin/nologin", name, number, number, own)},
			{ID: own + "-group", Kind: Account, Path: groupFile, Line: fmt.Sprintf("%s:x:%s:%s", name, number, own)},
		} {
			err := d.Add(op)
			if err == nil {
				err = replaceLine(op.Path, op.Line, "")
			}
			if err != nil {
				return fmt.Errorf("making the user %s: %w", name, err)
			}
		}
	}
	return nil
}

// editAccounts adds a line to a file of accounts, and removes one.
func editAccounts(path, add, remove string) error {
	unlock, err := lockAccounts()
	if err != nil {
		return err
	}
	defer unlock()
	return replaceLine(path, add, remove)
}

func lockAccounts() (unlock func(), err error) {
	f, err := os.OpenFile(accountLock, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		err = unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &lock)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES) || time.Now().After(deadline) {
			f.Close()
			return nil, &fs.PathError{Op: "lock", Path: accountLock, Err: err}
		}
	}
}

// replaceLine puts another file in the place of one, with a line more, or less.
// Nothing is done where the line is there already, or is not.
func replaceLine(path, add, remove string) (err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	count := len(lines)
	if remove != "" {
		lines = slices.DeleteFunc(lines, func(line string) bool { return line == remove })
	}
	if add != "" && !slices.Contains(lines, add) {
		lines = append(lines, add)
	}
	if len(lines) == count {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	beside := privateName(path)
	defer func() {
		if err != nil {
			os.Remove(beside)
		}
	}()
	f, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(strings.Join(lines, "\n") + "\n")
	owner := info.Sys().(*syscall.Stat_t)
	if err = errors.Join(err, f.Chown(int(owner.Uid), int(owner.Gid)), f.Chmod(info.Mode().Perm()), f.Close()); err != nil {
		return err
	}
	return os.Rename(beside, path)
}
