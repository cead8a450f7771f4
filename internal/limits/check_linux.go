// SPDX-License-Identifier: Apache-2.0

package limits

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Check returns how many actions, of those given, may run at the same time; or
// an error when not even one can. The error names the limit and the remedy.
func Check(actions int) (int, error) {
	if err := checkTemp(os.TempDir()); err != nil {
		return 0, err
	}
	if err := checkMemory(); err != nil {
		return 0, err
	}
	for _, most := range []func() (int, error){mostByFiles, mostByThreads} {
		n, err := most()
		if err != nil {
			return 0, err
		}
		actions = min(actions, n)
	}
	return actions, nil
}

// limit returns a limit of this process; ok is false where there is none.
func limit(resource int) (value uint64, ok bool) {
	var l unix.Rlimit
	if unix.Getrlimit(resource, &l) != nil || l.Cur == unix.RLIM_INFINITY {
		return 0, false
	}
	return l.Cur, true
}

func mostByFiles() (int, error) {
	most, ok := limit(unix.RLIMIT_NOFILE)
	if !ok {
		return math.MaxInt, nil
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return math.MaxInt, nil // not to be known: let it be tried
	}
	left := int(min(most, math.MaxInt32)) - len(open) - filesBeside
	if n := left / filesOfAction; n >= 1 && most >= filesOfProcess {
		return n, nil
	}
	return 0, fmt.Errorf("this process may open %d files (ulimit -n) and has %d open, and running actions takes at least %d: raise the limit, for example by ulimit -n 1024",
		most, len(open), max(filesOfProcess, len(open)+filesBeside+filesOfAction))
}

// mostByThreads counts the threads of this user. The kernel does not limit root
// of the machine, nor who has one of two capabilities (copy_process in
// kernel/fork.c).
func mostByThreads() (int, error) {
	most, ok := limit(unix.RLIMIT_NPROC)
	if !ok || os.Getuid() == 0 || capable(unix.CAP_SYS_RESOURCE) || capable(unix.CAP_SYS_ADMIN) {
		return math.MaxInt, nil
	}
	used := threadsOf(os.Getuid())
	left := int(min(most, math.MaxInt32)) - used - threadsBeside
	if n := left / threadsOfAction; n >= 1 {
		return n, nil
	}
	return 0, fmt.Errorf("user %d may have %d processes and threads (ulimit -u) and has %d, and running actions takes about %d more: raise the limit, for example by ulimit -u 4096",
		os.Getuid(), most, used, threadsBeside+threadsOfAction)
}

func threadsOf(uid int) (threads int) {
	files, _ := filepath.Glob("/proc/[0-9]*/status")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		own, n := false, 0
		for line := range strings.Lines(string(data)) {
			fields := strings.Fields(line)
			switch {
			case len(fields) < 2:
			case fields[0] == "Uid:":
				own = fields[1] == strconv.Itoa(uid)
			case fields[0] == "Threads:":
				n, _ = strconv.Atoi(fields[1])
			}
		}
		if own {
			threads += n
		}
	}
	return threads
}

func capable(capability int) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	return unix.Capget(&header, &data[0]) == nil && data[capability/32].Effective&(1<<(capability%32)) != 0
}

func checkMemory() error {
	if most, ok := limit(unix.RLIMIT_AS); ok && most < addressSpace {
		return fmt.Errorf("this process may have %d MB of address space (ulimit -v), and the processes of actions need %d, most of which they never use: raise the limit, for example by ulimit -v unlimited",
			most>>20, addressSpace>>20)
	}
	return nil
}

// checkTemp looks at the folder for temporary files, from which actions run
// this executable under other names.
func checkTemp(dir string) error {
	const remedy = "set TMPDIR to another folder"
	if err := unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("the folder for temporary files, %s, cannot be written to: %w: %s", dir, err, remedy)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("looking at the folder for temporary files: %s: %w", dir, err)
	}
	if fs.Flags&unix.ST_NOEXEC != 0 {
		return fmt.Errorf("nothing may be executed in the folder for temporary files, %s (it is mounted noexec), and actions run this executable there under other names: %s", dir, remedy)
	}
	if fs.Files > 0 && fs.Ffree == 0 {
		return fmt.Errorf("the folder for temporary files, %s, is full: it can hold no more files: remove some, or %s", dir, remedy)
	}
	need, why := uint64(room), ""
	var self, temp unix.Stat_t
	if unix.Stat("/proc/self/exe", &self) == nil && unix.Stat(dir, &temp) == nil && self.Dev != temp.Dev {
		need += copies * uint64(self.Size)
		why = ", since this executable, which actions run there under other names, is on another file system and has to be copied"
	}
	free := fs.Bavail * uint64(fs.Bsize)
	if fs.Blocks > 0 && free < need {
		return fmt.Errorf("the folder for temporary files, %s, is full: it has %d MB left, and actions take up to %d%s: free some, or %s",
			dir, free>>20, need>>20, why, remedy)
	}
	return nil
}
