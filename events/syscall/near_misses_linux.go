// SPDX-License-Identifier: Apache-2.0

package syscall

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

// nearMiss does what an action does, but in a way that the rule excuses or does
// not mean, so that the rule must not match.
type nearMiss struct {
	of      string // the action, without the package
	excuse  string // what makes the difference
	action  events.Action
	options events.Options
}

// nearMissName is the name of the near miss of an action. It matches no rule.
func nearMissName(of string) string { return "nearmiss." + of + "NearMiss" }

func init() {
	for _, n := range nearMisses() {
		events.RegisterWithName(n.action, nearMissName(n.of), append(n.options, events.WithDisabled(), events.NearMiss("syscall."+n.of, n.excuse))...)
	}
}

var (
	inContainer  = events.Options{events.WithContainer(events.Container{})}
	inPrivileged = events.Options{events.WithContainer(events.Container{Privileged: true})}
	inNetwork    = events.Options{events.WithNeeds(needNetwork)}
)

func inCapable(caps ...string) events.Options {
	return events.Options{events.WithContainer(events.Container{CapAdd: caps})}
}

// nearMisses is a function so that its actions may spawn by name.
func nearMisses() []nearMiss {
	return []nearMiss{
		{of: "DirectoryTraversalMonitoredFileRead", excuse: "the parent is a shell",
			action: func(h events.Helper) error {
				if program(h) != "cat" {
					return asChild(h, "DirectoryTraversalMonitoredFileRead", "sh", "cat")
				}
				return DirectoryTraversalMonitoredFileRead(h)
			}},
		{of: "ReadSensitiveFileTrustedAfterStartup", excuse: "the server has just started",
			action: func(h events.Helper) error {
				if program(h) != "httpd" {
					return asChild(h, "ReadSensitiveFileTrustedAfterStartup", "httpd")
				}
				return readSensitiveFile(h)
			}},
		{of: "ReadSensitiveFileUntrusted", excuse: "passwd may",
			action: func(h events.Helper) error {
				if program(h) != "passwd" {
					return asChild(h, "ReadSensitiveFileUntrusted", "passwd")
				}
				return readSensitiveFile(h)
			}},
		{of: "RunShellUntrusted", excuse: "the server is below a package manager",
			action: func(h events.Helper) error {
				return asChild(h, "RunShellUntrusted", "apt-get", "httpd", "sh")
			}},
		{of: "SystemUserInteractive", excuse: "the user is not a system user", options: events.Options{events.WithNeeds(needNoSystemUser)},
			action: func(h events.Helper) error {
				return asChild(h, "SystemUserInteractive", "getty", "login")
			}},
		{of: "TerminalShellInContainer", excuse: "there is no terminal", options: inContainer,
			action: func(h events.Helper) error {
				return asChild(h, "TerminalShellInContainer", "runc", "sh")
			}},
		{of: "ContactK8SAPIServerFromContainer", excuse: "the address is not the API server's", options: inContainer,
			action: func(events.Helper) error {
				return connectTo(unix.SOCK_STREAM, netip.MustParseAddr("127.0.0.9"), 0)
			}},
		{of: "NetcatRemoteCodeExecutionInContainer", excuse: "netcat hands over no shell", options: inContainer,
			action: func(h events.Helper) error {
				return asChild(h, "NetcatRemoteCodeExecutionInContainer", "nc")
			}},
		{of: "SearchPrivateKeysOrPasswords", excuse: "it searches for public keys' hosts",
			action: func(h events.Helper) error {
				if h.Spawned() {
					return nil
				}
				return h.SpawnAs("find", nearMissName("SearchPrivateKeysOrPasswords"), "/nonexistent", "-name", "known_hosts")
			}},
		{of: "ClearLogActivities", excuse: "the log is appended to",
			action: func(h events.Helper) error {
				log, err := tempFile(h, "auth.log", "")
				if err != nil {
					return err
				}
				f, err := os.OpenFile(log, os.O_WRONLY|os.O_APPEND, 0)
				if err != nil {
					return err
				}
				return f.Close()
			}},
		{of: "RemoveBulkDataFromDisk", excuse: "the file is removed, not destroyed",
			action: func(h events.Helper) error {
				return asChild(h, "RemoveBulkDataFromDisk", "rm")
			}},
		{of: "CreateSymlinkOverSensitiveFiles", excuse: "every user reads the target",
			action: func(h events.Helper) error {
				dir, err := tempDir(h)
				if err != nil {
					return err
				}
				return os.Symlink("/etc/hostname", filepath.Join(dir, "notes"))
			}},
		{of: "CreateHardlinkOverSensitiveFiles", excuse: "the file is its own",
			action: func(h events.Helper) error {
				file, err := tempFile(h, "shadow", "")
				if err != nil {
					return err
				}
				return os.Link(file, file+".2")
			}},
		{of: "PacketSocketCreatedInContainer", excuse: "the socket is for one protocol", options: inContainer,
			action: func(events.Helper) error {
				fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
				if err != nil {
					return err
				}
				return unix.Close(fd)
			}},
		{of: "RedirectSTDOUTSTDINToNetworkConnectionInContainer", excuse: "the connection is a pipe", options: inContainer,
			action: func(h events.Helper) error {
				if !h.Spawned() {
					return asChild(h, "RedirectSTDOUTSTDINToNetworkConnectionInContainer", "backdoor")
				}
				var pipe [2]int
				if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
					return err
				}
				return unix.Dup3(pipe[0], 0, 0)
			}},
		{of: "LinuxKernelModuleInjectionDetected", excuse: "the container may not load modules", options: inContainer,
			action: func(h events.Helper) error {
				return withoutCapabilities(func() error { return LinuxKernelModuleInjectionDetected(h) })
			}},
		{of: "DebugfsLaunchedInPrivilegedContainer", excuse: "the container is not privileged", options: inContainer,
			action: func(h events.Helper) error {
				return asChild(h, "DebugfsLaunchedInPrivilegedContainer", "debugfs")
			}},
		{of: "DetectReleaseAgentFileContainerEscapes", excuse: "the container lacks CAP_SYS_ADMIN", options: inContainer,
			action: func(h events.Helper) error {
				return withoutCapabilities(func() error {
					_, err := tempFile(h, "release_agent", "")
					return err
				})
			}},
		{of: "PTRACEAttachedToProcess", excuse: "it reads from a process that it does not trace",
			action: func(h events.Helper) error {
				if _, err := unix.PtracePeekData(os.Getpid(), 0, make([]byte, 8)); err == nil {
					return fmt.Errorf("reading from an untraced process was allowed")
				}
				return nil
			}},
		{of: "PtraceAntiDebugAttempt", excuse: "it forbids debuggers by prctl",
			action: func(h events.Helper) error {
				if !h.Spawned() {
					return asChild(h, "PtraceAntiDebugAttempt", "worker")
				}
				return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
			}},
		{of: "FindAwsCredentials", excuse: "it searches for the configuration, not the credentials",
			action: func(h events.Helper) error {
				if h.Spawned() {
					return nil
				}
				return h.SpawnAs("find", nearMissName("FindAwsCredentials"), "/nonexistent", "-path", "*/.aws/config")
			}},
		{of: "ExecutionFromDevShm", excuse: "the program is elsewhere",
			action: func(h events.Helper) error {
				payload, err := dropProgram(h)
				if err != nil {
					return err
				}
				return exec.Command(payload, "-c", "/dev/shm/payload").Run()
			}},
		{of: "DropAndExecuteNewBinaryInContainer", excuse: "the program is the image's", options: inContainer,
			action: func(h events.Helper) error {
				// The copy does nothing, and says so by its exit status.
				err := exec.Command(h.ExePath(), "-test.list", "^$").Run()
				if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
					return nil
				}
				return err
			}},
		{of: "DisallowedSSHConnectionNonStandardPort", excuse: "the address is a private one", options: events.Options{events.WithNeeds(needNetwork)},
			action: func(h events.Helper) error {
				if program(h) != "ssh" {
					return asChild(h, "DisallowedSSHConnectionNonStandardPort", "ssh")
				}
				ip := netip.MustParseAddr("10.1.2.3")
				return withAddress(h, ip, func() error { return connectTo(unix.SOCK_STREAM, ip, 443) })
			}},
		{of: "FilelessExecutionViaMemfdCreate", excuse: "the parent is runc, which does that",
			action: func(h events.Helper) error {
				if program(h) != "runc" {
					return asChild(h, "FilelessExecutionViaMemfdCreate", "runc")
				}
				return FilelessExecutionViaMemfdCreate(h)
			}},

		{of: "ModifyShellConfigurationFile", excuse: "bash may",
			action: func(h events.Helper) error {
				if program(h) != "bash" {
					return asChild(h, "ModifyShellConfigurationFile", "bash")
				}
				return ModifyShellConfigurationFile(h)
			}},
		{of: "DBProgramSpawnedProcess", excuse: "the child is a database server too",
			action: func(h events.Helper) error {
				return asChild(h, "DBProgramSpawnedProcess", "postgres", "postgres")
			}},
		{of: "SetSetuidOrSetgidBit", excuse: "neither bit is set",
			action: func(h events.Helper) error {
				file, err := tempFile(h, "program", "")
				if err != nil {
					return err
				}
				return os.Chmod(file, 0o755)
			}},
		{of: "UserMgmtBinaries", excuse: "useradd only prints its defaults",
			action: func(h events.Helper) error {
				if h.Spawned() {
					return nil
				}
				return h.SpawnAs("useradd", nearMissName("UserMgmtBinaries"), "-D")
			}},
		{of: "MountLaunchedInPrivilegedContainer", excuse: "mount only lists", options: inPrivileged,
			action: func(h events.Helper) error {
				if h.Spawned() {
					return nil
				}
				return h.SpawnAs("mount", nearMissName("MountLaunchedInPrivilegedContainer"), "-l")
			}},
		{of: "UnexpectedUDPTraffic", excuse: "the port is one for DNS", options: inNetwork,
			action: func(h events.Helper) error {
				return withAddress(h, documentationIP, func() error { return connectTo(unix.SOCK_DGRAM, documentationIP, 53) })
			}},
		{of: "ChangeNamespacePrivilegesViaUnshare", excuse: "the container has CAP_SYS_ADMIN", options: inCapable("SYS_ADMIN"),
			action: func(h events.Helper) error {
				return onOwnThread(func() error {
					return attempted(h, "making a namespace", unix.Unshare(unix.CLONE_NEWNET), unix.EPERM)
				})
			}},
		{of: "WriteBelowEtc", excuse: "useradd may", options: events.Options{events.WithNeeds(events.WriteIn("/etc"))},
			action: func(h events.Helper) error {
				if program(h) != "useradd" {
					return asChild(h, "WriteBelowEtc", "useradd")
				}
				return WriteBelowEtc(h)
			}},
		{of: "BasicInteractiveReconnaissance", excuse: "there is no terminal",
			action: func(h events.Helper) error {
				return asChild(h, "BasicInteractiveReconnaissance", "whoami")
			}},
	}
}

// asChild runs the near miss of an action in a chain of processes with the given
// names; the last does the work.
func asChild(h events.Helper, of string, names ...string) error {
	action := nearMissName(of)
	if !h.Spawned() {
		// The names that are still to come travel as arguments, behind a mark
		// that no rule looks for.
		return h.SpawnAs(names[0], action, chain(names[1:])...)
	}
	if rest := chained(os.Args[1:]); len(rest) > 0 {
		return h.SpawnAs(rest[0], action, chain(rest[1:])...)
	}
	return nil
}

func chain(names []string) (args []string) {
	for _, name := range names {
		args = append(args, "then="+name)
	}
	return args
}

func chained(args []string) (names []string) {
	for _, arg := range args {
		if name, ok := strings.CutPrefix(arg, "then="); ok {
			names = append(names, name)
		}
	}
	return names
}

// withoutCapabilities calls f on a thread that has none, as in a container that
// was given none.
func withoutCapabilities(f func() error) error {
	return onOwnThread(func() error {
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&header, &none[0]); err != nil {
			return fmt.Errorf("giving up all capabilities: %w", err)
		}
		return f()
	})
}

// dropProgram writes a program that exits to a directory of its own.
func dropProgram(h events.Helper) (string, error) {
	image, err := exitProgram()
	if err != nil {
		return "", err
	}
	dir, err := tempDir(h)
	if err != nil {
		return "", err
	}
	payload := filepath.Join(dir, "payload")
	return payload, os.WriteFile(payload, image, 0o755)
}
