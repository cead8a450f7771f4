// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"fmt"
	"os"
	"strings"

	"github.com/falcotest/go-falcotest/events"
)

// leaveRootLogin makes sure that this process and its children do not belong to
// a login session of root's, for rules that excuse what root does who logged in
// as root. It changes the login user id of this process only.
func leaveRootLogin() error {
	const file = "/proc/self/loginuid"
	b, err := os.ReadFile(file)
	if err != nil || strings.TrimSpace(string(b)) != "0" {
		return nil // without audit in the kernel, there is no login user id
	}
	if err := os.WriteFile(file, []byte("4294967295"), 0); err != nil { // unset
		return &events.ErrSkipped{Reason: fmt.Sprintf("the rule excuses what runs below a login of root's, and the login user id cannot be unset: %v", err)}
	}
	return nil
}
