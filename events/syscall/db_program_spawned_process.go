// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(DBProgramSpawnedProcess, events.WithDisabled())

// DBProgramSpawnedProcess starts a program from a database server, as SQL
// injection does by way of a user defined function.
//
// Rule: spawned_process whose parent is one of db_server_binaries and which is
// none itself: copies of this executable run as mysqld and, below it, as id.
// Needs: nothing. The program does nothing.
//
// ATT&CK: T1190, exploit public-facing application.
func DBProgramSpawnedProcess(h events.Helper) error {
	switch program(h) {
	case "":
		return h.SpawnAs("mysqld", "syscall.DBProgramSpawnedProcess")
	case "mysqld":
		return h.SpawnAs("id", "syscall.DBProgramSpawnedProcess")
	}
	return nil
}
