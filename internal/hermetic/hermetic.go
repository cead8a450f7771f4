// SPDX-License-Identifier: Apache-2.0

// Package hermetic gives an action's process folders that vanish with it: a
// mount namespace of its own, in which the folders that actions write to are
// overlays of the machine's, so that a write to /etc/x has the right path and
// is gone when the process is.
//
// It imports internal/config alone, and nothing that is initialised late (see package
// inside). [Prepare] changes how a process of this executable is started; in that process, this package's initialisation, which
// runs before almost everything else, makes the mounts.
//
// # What is the same, and what is not
//
//   - Paths, names, arguments, ids as seen from outside, terminals and the
//     process's ancestors are the same. The executable of the process, and those
//     of SpawnAs, are not on an overlay: they are placed in the temporary
//     directory, which is not covered.
//   - A program of the machine that is executed from a covered folder, such as
//     /bin/ls, is on the lower layer of an overlay. To Falco
//     proc.is_exe_lower_layer is then true; proc.is_exe_upper_layer, which rules
//     ask for, is true only of a program that the action itself wrote to a
//     covered folder. For files the same holds of fd.is_lower_layer and
//     fd.is_upper_layer.
//   - Devices, inode numbers of new files, and evt.arg.dev differ.
//   - Mounts below a covered folder are covered by overlays of their own where
//     they can be, else they are bound into place and are the machine's.
//   - /dev/shm is an empty tmpfs; what other processes put there is not seen.
//   - Root keeps all its privileges and ids. An ordinary user gets a user
//     namespace in which just this user and group exist, with the same numbers;
//     other owners show as nobody, and set-user-ID programs gain nothing. The
//     namespace's privileges are used to mount, and are gone before the action.
//   - Network, processes, /proc, /sys, /run, /tmp and all other folders are the
//     machine's: what an action changes there, it must undo.
package hermetic

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/falcotest/go-falcotest/internal/config"
)

// Folders are covered, where they exist and are not symbolic links.
var Folders = []string{
	"/etc", "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
	"/root", "/home", "/var", "/opt", "/boot", "/srv", "/dev",
}

const (
	envPrepare = config.EnvMounts              // the directory to work in: make the mounts
	envState   = config.EnvMounts + "_STATE"   // "1" when they are made, else why they are not
	envAll     = config.EnvMounts + "_ALL"     // cover every folder, not just Folders
	envNetwork = config.EnvMounts + "_NETWORK" // addresses for an ordinary user's own network namespace
	envCovered = config.EnvMounts + "_COVERED" // what is covered (+) and what is not (-), as a list like PATH
)

var (
	active  bool
	why     = "not asked for"
	covered []string // "+" or "-" and a folder
)

// Executable is the name, in the directory that a process works in, of a link to
// this executable.
const Executable = "executable"

// Options are what a process gets beside folders that vanish with it.
type Options struct {
	// All covers, as root, the root directory as a whole, /tmp too, but for
	// /proc, /sys and /run.
	All bool
	// Network gives it a network namespace of its own.
	Network bool
	// Addresses are those that an ordinary user's loopback interface has there;
	// root's process adds them itself, by [AddAddresses].
	Addresses []Address
}

// Address is an IP address, of 4 or 16 bytes. (Package net/netip is initialised
// later than this one has to be.)
type Address []byte

// String returns the address in the usual way, but for what it leaves out of an
// IPv6 address: nothing.
func (a Address) String() string {
	var b strings.Builder
	for i, octet := range a {
		switch {
		case len(a) == 4 && i > 0:
			b.WriteByte('.')
		case len(a) != 4 && i > 0 && i%2 == 0:
			b.WriteByte(':')
		}
		if len(a) == 4 {
			b.WriteString(strconv.Itoa(int(octet)))
		} else {
			b.WriteString(hex.EncodeToString(a[i : i+1]))
		}
	}
	return b.String()
}

// IsLoopback tells whether it is the loopback interface's in any namespace.
func (a Address) IsLoopback() bool {
	if len(a) == 4 {
		return a[0] == 127
	}
	return string(a) == "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"
}

var coverAll bool

// State tells whether the folders of this process vanish with it and, if not,
// why not.
func State() (ok bool, reason string) {
	if active {
		return true, ""
	}
	return false, why
}

// Active tells whether the folders of this process vanish with it.
func Active() bool { return active }

// Vanishes tells whether a change of the file at path vanishes with the
// process: path must be absolute. Links on the way to the file are followed.
func Vanishes(path string) bool {
	if !active {
		return false
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		path = filepath.Join(dir, filepath.Base(path))
	}
	longest, vanishes := 0, false
	for _, c := range covered {
		if dir := c[1:]; contains(dir, path) && len(dir) >= longest {
			longest, vanishes = len(dir), c[0] == '+'
		}
	}
	return vanishes
}

// Environ returns the variables that tell a process which this one starts
// that it has the same folders.
func Environ() []string {
	state := why
	if active {
		state = "1"
	}
	return []string{envState + "=" + state, envCovered + "=" + strings.Join(covered, string(os.PathListSeparator))}
}

func contains(dir, path string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// Refused returns the variable that tells a process that is started without
// the mounts why it is.
func Refused(err error) string { return envState + "=" + err.Error() }

func init() {
	state, ok := os.LookupEnv(envState)
	if ok {
		active, why = state == "1", state
		covered = filepath.SplitList(os.Getenv(envCovered))
	}
	work := os.Getenv(envPrepare)
	coverAll = os.Getenv(envAll) != ""
	os.Unsetenv(envAll)
	os.Unsetenv(envPrepare)
	os.Unsetenv(envState)
	os.Unsetenv(envCovered)
	if work != "" {
		prepare(work)
	}
}
