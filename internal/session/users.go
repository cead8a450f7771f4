// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/rand"
	"errors"
	"maps"
	"os"
	"os/user"
	"slices"
	"strings"

	"github.com/falcotest/go-falcotest/internal/journal"
)

// makeUsers makes the users of tests who do not exist on this machine, for a
// real Falco, which reads their names from the machine's /etc/passwd. For others
// they are made in the test's own.
func (s *Session) makeUsers() (err error) {
	if s.settings.Judge() == "builtin" || s.settings.Judge() == "replay" || os.Geteuid() != 0 {
		return nil
	}
	missing := map[string]bool{}
	for _, a := range s.plan.Actions {
		sc := a.Scenario
		if sc == nil || sc.Container != nil || a.Test.Skip != "" {
			continue
		}
		for _, p := range sc.Processes {
			if p.User != "" {
				if u, err := user.Lookup(p.User); errors.As(err, new(user.UnknownUserError)) || err == nil && strings.HasPrefix(u.Name, journal.Temporary) {
					missing[p.User] = true
				}
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if s.users, err = journal.CreatePrivate("", "users-"+rand.Text()[:12]); err != nil {
		return err
	}
	return s.users.AddUsers(slices.Sorted(maps.Keys(missing))...)
}

// removeUsers removes the users that makeUsers made.
func (s *Session) removeUsers() error {
	if s.users == nil {
		return nil
	}
	_, err := s.users.Close()
	return err
}
