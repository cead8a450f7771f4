// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	std "syscall"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(NonSudoSetuid, events.WithDisabled(), events.WithNeeds(needOrdinaryUser))

// NonSudoSetuid asks to become root as an ordinary user, without sudo or its
// like.
//
// Rule: setuid by a user other than root and a program that is none of
// known_setuid_binaries; the attempt counts, and is refused. As root, a copy of
// this executable first takes the ids of a system account. Needs: a
// user who has an account. Nobody becomes root.
//
// ATT&CK: T1548.001, setuid and setgid.
func NonSudoSetuid(h events.Helper) error {
	if os.Geteuid() == 0 {
		if !h.Spawned() {
			return h.SpawnAs("worker", "syscall.NonSudoSetuid")
		}
		if err := becomeSystemUser(h); err != nil {
			return err
		}
	}
	if _, err := user.LookupId(strconv.Itoa(os.Geteuid())); err != nil {
		return &events.ErrSkipped{Reason: fmt.Sprintf("the user %d has no account, and in what Falco takes for a container the rule asks for a user with a name", os.Geteuid())}
	}
	if err := std.Setuid(0); err != nil {
		return attempted(h, "becoming root", err, unix.EPERM, unix.EINVAL) // EINVAL where there is no root
	}
	return fmt.Errorf("becoming root was allowed to the user %d", os.Getuid())
}
