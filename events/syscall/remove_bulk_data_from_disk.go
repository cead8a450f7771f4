// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"errors"
	"os"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(RemoveBulkDataFromDisk)

// RemoveBulkDataFromDisk overwrites a file and removes it, so that it cannot
// be recovered.
//
// Rule: spawned_process with a name of data_remove_commands:
// a copy of this executable runs as shred. Needs: nothing. The file is its
// own.
//
// ATT&CK: T1485, data destruction.
func RemoveBulkDataFromDisk(h events.Helper) error {
	if program(h) == "shred" {
		return shred(os.Args[len(os.Args)-1])
	}
	file, err := tempFile(h, "customers.db", "a row\n")
	if err != nil {
		return err
	}
	return h.SpawnAs("shred", "syscall.RemoveBulkDataFromDisk", "-u", file)
}

func shred(name string) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil {
		_, err = f.Write(make([]byte, info.Size()))
	}
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(name))
}
