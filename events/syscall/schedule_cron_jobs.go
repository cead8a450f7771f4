// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"os"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(ScheduleCronJobs, events.WithDisabled())

// ScheduleCronJobs installs a user's cron table.
//
// Rule: spawned_process crontab: a copy of this executable runs as crontab and
// reads a table of its own. Needs: nothing. No job is scheduled.
//
// ATT&CK: T1053.003, cron.
func ScheduleCronJobs(h events.Helper) error {
	if program(h) == "crontab" {
		return readByte(os.Args[len(os.Args)-1])
	}
	table, err := tempFile(h, "jobs", "@reboot true\n")
	if err != nil {
		return err
	}
	return h.SpawnAs("crontab", "syscall.ScheduleCronJobs", table)
}
