// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	std "syscall"

	"github.com/falcotest/go-falcotest/events"
)

// becomeSystemUser gives this process, all threads, the ids of one of the
// accounts that exist to own daemons and files and that never log in. There is
// no way back: call it in a spawned process.
func becomeSystemUser(h events.Helper) error {
	name, uid, gid, err := systemUser()
	if err != nil {
		return err
	}
	if err := std.Setgroups([]int{gid}); err != nil {
		return fmt.Errorf("giving up supplementary groups: %w", err)
	}
	if err := std.Setresgid(gid, gid, gid); err != nil {
		return fmt.Errorf("becoming the group %d: %w", gid, err)
	}
	if err := std.Setresuid(uid, uid, uid); err != nil {
		return fmt.Errorf("becoming the user %s: %w", name, err)
	}
	h.Log().WithField("user", name).Info("became a system user")
	return nil
}

// systemUser returns the first account of /etc/passwd that the rules' macro
// system_users names. The file is read here, because a look-up by the system's
// library may ask a network service.
func systemUser() (name string, uid, gid int, err error) {
	f, err := os.Open("/etc/passwd")
	if err != nil {
		return "", 0, 0, &events.ErrSkipped{Reason: "no system account: " + err.Error()}
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		fields := strings.Split(s.Text(), ":")
		if len(fields) < 4 {
			continue
		}
		switch fields[0] {
		case "daemon", "bin", "games", "lp", "mail", "nobody", "sshd", "uucp", "www-data":
			uid, err1 := strconv.Atoi(fields[2])
			gid, err2 := strconv.Atoi(fields[3])
			if err1 == nil && err2 == nil && uid != 0 {
				return fields[0], uid, gid, nil
			}
		}
	}
	return "", 0, 0, &events.ErrSkipped{Reason: "/etc/passwd has none of the usual system accounts (daemon, bin, nobody…)"}
}
