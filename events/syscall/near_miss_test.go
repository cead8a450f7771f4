// SPDX-License-Identifier: Apache-2.0

//go:build linux

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
	rule    string
	excuse  string // what makes the difference
	action  events.Action
	options events.Options
}

// name is the near miss's in the registry. It matches no rule.
func (n nearMiss) name() string {
	return "nearmiss." + strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' {
			return r
		}
		return -1
	}, n.rule) + "NearMiss"
}

func init() {
	for _, n := range nearMisses() {
		events.RegisterWithName(n.action, n.name(), append(n.options, events.WithDisabled())...)
	}
}

// NearMisses hands the table to the tests outside of the package: the name of
// each near miss's action, its rule, and the excuse.
func NearMisses(each func(action, rule, excuse string)) {
	for _, n := range nearMisses() {
		each(n.name(), n.rule, n.excuse)
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
		{rule: "Directory traversal monitored file read", excuse: "the parent is a shell",
			action: func(h events.Helper) error {
				if program(h) != "cat" {
					return asChild(h, "Directory traversal monitored file read", "sh", "cat")
				}
				return DirectoryTraversalMonitoredFileRead(h)
			}},
		{rule: "Read sensitive file trusted after startup", excuse: "the server has just started",
			action: func(h events.Helper) error {
				if program(h) != "httpd" {
					return asChild(h, "Read sensitive file trusted after startup", "httpd")
				}
				return readSensitiveFile(h)
			}},
		{rule: "Read sensitive file untrusted", excuse: "passwd may",
			action: func(h events.Helper) error {
				if program(h) != "passwd" {
					return asChild(h, "Read sensitive file untrusted", "passwd")
				}
				return readSensitiveFile(h)
			}},
		{rule: "Run shell untrusted", excuse: "the server is below a package manager",
			action: func(h events.Helper) error {
				return asChild(h, "Run shell untrusted", "apt-get", "httpd", "sh")
			}},
		{rule: "System user interactive", excuse: "the user is not a system user",
			action: func(h events.Helper) error {
				return asChild(h, "System user interactive", "getty", "login")
			}},
		{rule: "Terminal shell in container", excuse: "there is no terminal", options: inContainer,
			action: func(h events.Helper) error {
				return asChild(h, "Terminal shell in container", "runc", "sh")
			}},
		{rule: "Contact K8S API Server From Container", excuse: "the address is not the API server's", options: inContainer,
			action: func(events.Helper) error {
				return connectTo(unix.SOCK_STREAM, netip.MustParseAddr("127.0.0.9"), 0)
			}},
		{rule: "Netcat Remote Code Execution in Container", excuse: "netcat hands over no shell", options: inContainer,
			action: func(h events.Helper) error {
				return asChild(h, "Netcat Remote Code Execution in Container", "nc")
			}},
		{rule: "Search Private Keys or Passwords", excuse: "it searches for public keys' hosts",
			action: func(h events.Helper) error {
				if h.Spawned() {
					return nil
				}
				return h.SpawnAs("find", "nearmiss.SearchPrivateKeysorPasswordsNearMiss", "/nonexistent", "-name", "known_hosts")
			}},
		{rule: "Clear Log Activities", excuse: "the log is appended to",
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
		{rule: "Remove Bulk Data from Disk", excuse: "the file is removed, not destroyed",
			action: func(h events.Helper) error {
				return asChild(h, "Remove Bulk Data from Disk", "rm")
			}},
		{rule: "Create Symlink Over Sensitive Files", excuse: "every user reads the target",
			action: func(h events.Helper) error {
				dir, err := tempDir(h)
				if err != nil {
					return err
				}
				return os.Symlink("/etc/hostname", filepath.Join(dir, "notes"))
			}},
		{rule: "Create Hardlink Over Sensitive Files", excuse: "the file is its own",
			action: func(h events.Helper) error {
				file, err := tempFile(h, "shadow", "")
				if err != nil {
					return err
				}
				return os.Link(file, file+".2")
			}},
		{rule: "Packet socket created in container", excuse: "the socket is for one protocol", options: inContainer,
			action: func(events.Helper) error {
				fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
				if err != nil {
					return err
				}
				return unix.Close(fd)
			}},
		{rule: "Redirect STDOUT/STDIN to Network Connection in Container", excuse: "the connection is a pipe", options: inContainer,
			action: func(h events.Helper) error {
				if !h.Spawned() {
					return asChild(h, "Redirect STDOUT/STDIN to Network Connection in Container", "backdoor")
				}
				var pipe [2]int
				if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
					return err
				}
				return unix.Dup3(pipe[0], 0, 0)
			}},
		{rule: "Linux Kernel Module Injection Detected", excuse: "the container may not load modules", options: inContainer,
			action: func(h events.Helper) error {
				return withoutCapabilities(func() error { return LinuxKernelModuleInjectionDetected(h) })
			}},
		{rule: "Debugfs Launched in Privileged Container", excuse: "the container is not privileged", options: inContainer,
			action: func(h events.Helper) error {
				return asChild(h, "Debugfs Launched in Privileged Container", "debugfs")
			}},
		{rule: "Detect release_agent File Container Escapes", excuse: "the container lacks CAP_SYS_ADMIN", options: inContainer,
			action: func(h events.Helper) error {
				return withoutCapabilities(func() error {
					_, err := tempFile(h, "release_agent", "")
					return err
				})
			}},
		{rule: "PTRACE attached to process", excuse: "it reads from a process that it does not trace",
			action: func(h events.Helper) error {
				if _, err := unix.PtracePeekData(os.Getpid(), 0, make([]byte, 8)); err == nil {
					return fmt.Errorf("reading from an untraced process was allowed")
				}
				return nil
			}},
		{rule: "PTRACE anti-debug attempt", excuse: "it forbids debuggers by prctl",
			action: func(h events.Helper) error {
				if !h.Spawned() {
					return asChild(h, "PTRACE anti-debug attempt", "worker")
				}
				return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
			}},
		{rule: "Find AWS Credentials", excuse: "it searches for the configuration, not the credentials",
			action: func(h events.Helper) error {
				if h.Spawned() {
					return nil
				}
				return h.SpawnAs("find", "nearmiss.FindAWSCredentialsNearMiss", "/nonexistent", "-path", "*/.aws/config")
			}},
		{rule: "Execution from /dev/shm", excuse: "the program is elsewhere",
			action: func(h events.Helper) error {
				payload, err := dropProgram(h)
				if err != nil {
					return err
				}
				return exec.Command(payload, "-c", "/dev/shm/payload").Run()
			}},
		{rule: "Drop and execute new binary in container", excuse: "the program is the image's", options: inContainer,
			action: func(h events.Helper) error {
				// The copy does nothing, and says so by its exit status.
				err := exec.Command(h.ExePath(), "-test.list", "^$").Run()
				if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
					return nil
				}
				return err
			}},
		{rule: "Disallowed SSH Connection Non Standard Port", excuse: "the address is a private one", options: events.Options{events.WithNeeds(needNetwork)},
			action: func(h events.Helper) error {
				if program(h) != "ssh" {
					return asChild(h, "Disallowed SSH Connection Non Standard Port", "ssh")
				}
				ip := netip.MustParseAddr("10.1.2.3")
				return withAddress(h, ip, func() error { return connectTo(unix.SOCK_STREAM, ip, 443) })
			}},
		{rule: "Fileless execution via memfd_create", excuse: "the parent is runc, which does that",
			action: func(h events.Helper) error {
				if program(h) != "runc" {
					return asChild(h, "Fileless execution via memfd_create", "runc")
				}
				return FilelessExecutionViaMemfdCreate(h)
			}},

		{rule: "Modify Shell Configuration File", excuse: "bash may",
			action: func(h events.Helper) error {
				if program(h) != "bash" {
					return asChild(h, "Modify Shell Configuration File", "bash")
				}
				return ModifyShellConfigurationFile(h)
			}},
		{rule: "DB program spawned process", excuse: "the child is a database server too",
			action: func(h events.Helper) error {
				return asChild(h, "DB program spawned process", "postgres", "postgres")
			}},
		{rule: "Set Setuid or Setgid bit", excuse: "neither bit is set",
			action: func(h events.Helper) error {
				file, err := tempFile(h, "program", "")
				if err != nil {
					return err
				}
				return os.Chmod(file, 0o755)
			}},
		{rule: "User mgmt binaries", excuse: "useradd only prints its defaults",
			action: func(h events.Helper) error {
				if h.Spawned() {
					return nil
				}
				return h.SpawnAs("useradd", "nearmiss.UsermgmtbinariesNearMiss", "-D")
			}},
		{rule: "Mount Launched in Privileged Container", excuse: "mount only lists", options: inPrivileged,
			action: func(h events.Helper) error {
				if h.Spawned() {
					return nil
				}
				return h.SpawnAs("mount", "nearmiss.MountLaunchedinPrivilegedContainerNearMiss", "-l")
			}},
		{rule: "Unexpected UDP Traffic", excuse: "the port is one for DNS", options: inNetwork,
			action: func(h events.Helper) error {
				return withAddress(h, documentationIP, func() error { return connectTo(unix.SOCK_DGRAM, documentationIP, 53) })
			}},
		{rule: "Change namespace privileges via unshare", excuse: "the container has CAP_SYS_ADMIN", options: inCapable("SYS_ADMIN"),
			action: func(h events.Helper) error {
				return onOwnThread(func() error {
					return attempted(h, "making a namespace", unix.Unshare(unix.CLONE_NEWNET), unix.EPERM)
				})
			}},
		{rule: "Write below etc", excuse: "useradd may", options: events.Options{events.WithNeeds(events.WriteIn("/etc"))},
			action: func(h events.Helper) error {
				if program(h) != "useradd" {
					return asChild(h, "Write below etc", "useradd")
				}
				return WriteBelowEtc(h)
			}},
		{rule: "Basic Interactive Reconnaissance", excuse: "there is no terminal",
			action: func(h events.Helper) error {
				return asChild(h, "Basic Interactive Reconnaissance", "whoami")
			}},
	}
}

// asChild runs the near miss of a rule in a chain of processes with the given
// names; the last does the work.
func asChild(h events.Helper, rule string, names ...string) error {
	action := nearMiss{rule: rule}.name()
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
