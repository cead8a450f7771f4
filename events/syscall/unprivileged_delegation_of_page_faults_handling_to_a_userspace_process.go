// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(UnprivilegedDelegationOfPageFaultsHandlingToAUserspaceProcess, events.WithDisabled(),
	events.WithNeeds(needOrdinaryUser))

// UnprivilegedDelegationOfPageFaultsHandlingToAUserspaceProcess asks to handle
// page faults itself, as an ordinary user: exploits win races of the kernel by
// holding one up.
//
// Rule: userfaultfd by a user other than root. As root, a copy of this
// executable first takes the ids of a system account. It asks for faults of user
// space only, which the kernel allows to everybody; a refusal counts too. Needs:
// as root, to be able to become another user. No memory is registered.
//
// ATT&CK: TA0005, defense evasion.
func UnprivilegedDelegationOfPageFaultsHandlingToAUserspaceProcess(h events.Helper) error {
	if os.Geteuid() == 0 {
		if !h.Spawned() {
			return h.SpawnAs("worker", "syscall.UnprivilegedDelegationOfPageFaultsHandlingToAUserspaceProcess")
		}
		if err := becomeSystemUser(h); err != nil {
			return err
		}
	}
	const userModeOnly = 1 // UFFD_USER_MODE_ONLY
	fd, _, errno := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC|userModeOnly, 0, 0)
	switch {
	case errno == 0:
		return unix.Close(int(fd))
	case errors.Is(errno, unix.ENOSYS):
		return &events.ErrSkipped{Reason: "the kernel has no userfaultfd"}
	}
	return attempted(h, "asking for page faults", fmt.Errorf("userfaultfd: %w", errno), unix.EPERM, unix.EINVAL)
}
