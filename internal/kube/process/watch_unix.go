// SPDX-License-Identifier: Apache-2.0

//go:build unix

package process

import (
	"os/exec"
	"syscall"
)

func ownGroup(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
}

// Watch is a command that runs another until standard input ends, for
// programs that do not look at it, and then removes a folder. The shell gives
// programs in the background no standard input of its own, hence the detour by
// descriptor 3.
func Watch(dir, program string, args []string) (*exec.Cmd, error) {
	const script = `dir=$1; shift
exec 3<&0
"$@" 3<&- & p=$!
(cat <&3 >/dev/null; kill "$p" 2>/dev/null) & w=$!
exec 3<&-
wait "$p"; s=$?
kill "$w" 2>/dev/null
rm -rf -- "$dir"
exit $s`
	return exec.Command("/bin/sh", append([]string{"-c", script, "sh", dir, program}, args...)...), nil
}
