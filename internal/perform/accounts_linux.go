// SPDX-License-Identifier: Apache-2.0

package perform

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// account is a user by whom a process runs.
type account struct{ uid, gid uint32 }

// accounts are the users of this process's /etc/passwd.
type accounts struct{ d *director }

// firstID is where numbers are looked for that no user has: those of people and
// services are below, and those that containers map are above.
const firstID = 58000

// find returns the user of that name, who is made if there is none.
func (a *accounts) find(name string) (account, error) {
	data, err := os.ReadFile("/etc/passwd")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return account{}, fmt.Errorf("looking for the user %s: %w", name, err)
	}
	used := map[uint64]bool{}
	for line := range strings.Lines(string(data)) {
		e := strings.Split(strings.TrimSpace(line), ":")
		if len(e) < 4 {
			continue
		}
		uid, err1 := strconv.ParseUint(e[2], 10, 32)
		gid, err2 := strconv.ParseUint(e[3], 10, 32)
		if err1 != nil || err2 != nil {
			continue
		}
		if e[0] == name {
			return account{uint32(uid), uint32(gid)}, nil
		}
		used[uid] = true
	}
	if !a.d.root {
		return account{}, skip("needs root: the user %s does not exist, and is to be made", name)
	}
	if !a.d.vanishes("/etc/passwd") || !a.d.vanishes("/etc/group") {
		return account{}, skip("the user %s does not exist, and is made only where /etc vanishes with the test", name)
	}
	if strings.ContainsAny(name, ":\n/") {
		return account{}, fmt.Errorf("%q is no name of a user", name)
	}
	id := uint64(firstID)
	for used[id] {
		id++
	}
	for file, line := range map[string]string{
		"/etc/passwd": fmt.Sprintf("%s:x:%d:%d::/nonexistent:/usr/sbin/nologin\n", name, id, id),
		"/etc/group":  fmt.Sprintf("%s:x:%d:\n", name, id),
	} {
		if err := appendLine(file, line); err != nil {
			return account{}, fmt.Errorf("making the user %s: %w", name, err)
		}
	}
	return account{uint32(id), uint32(id)}, nil
}

func appendLine(file, line string) error {
	data, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if len(data) > 0 && data[len(data)-1] != '\n' {
		line = "\n" + line
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line)
	return errors.Join(err, f.Close())
}
