// SPDX-License-Identifier: Apache-2.0

package inside

import (
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/falcotest/go-falcotest/internal/config"
)

// Role is what a process of this executable is there for.
type Role string

// The roles.
const (
	Ordinary Role = ""       // none: whatever the program is for
	Action   Role = "action" // the first process of an action
	Spawned  Role = "spawn"  // a process of SpawnAs
	Reaper   Role = "reaper" // undoes what its parent left when that is killed, or dies of a panic outside of any action
)

// DefaultGrace is how long cleanups may take when an action is stopped.
const DefaultGrace = 3 * time.Second

var (
	role      Role
	program   string   // that an action's process runs, "" for a registered action
	arguments []string // os.Args as the process was started with
)

// Here is this process's role.
func Here() Role { return role }

func init() {
	name, of, _ := strings.Cut(os.Getenv(config.EnvControl), " ")
	if name == "" {
		return
	}
	role, program = Role(name), of
	os.Unsetenv(config.EnvControl)
	if role == Reaper {
		awaitParent()
	}
	// The action shall run on the first thread: Falco tells some of what a
	// process does by it.
	runtime.LockOSThread()
	// A program without the hook must not do its own work again, and again:
	// to a test binary this says to run no tests. Begin puts it right.
	arguments = os.Args
	os.Args = []string{os.Args[0], "-test.run=^$"}
}

// awaitParent is what a reaper does while its parent lives: it returns when that
// has died, and ends this process when that has ended.
func awaitParent() {
	n, _ := os.Stdin.Read(make([]byte, 1))
	if n > 0 {
		os.Exit(0)
	}
}

// envCollector is the variable by which Go's garbage collector is set.
const envCollector = "GOGC"

// Environ returns the variables that give a process of this executable a role, and
// a program where it is not to run a registered action.
//
// It collects no garbage while its packages are initialised, which takes longer than
// the initialisations: [Begin] tells whether the collector is to be turned on.
func Environ(role Role, program string) []string {
	control := string(role)
	if program != "" {
		control += " " + program
	}
	env := []string{config.EnvControl + "=" + control}
	if os.Getenv(envCollector) == "" {
		env = append(env, envCollector+"=off")
	}
	return env
}

// Begin gives this process, which has a role, its own arguments and environment. It
// tells whether it collects no garbage; what does not live long, does not need it to.
func Begin() (collectsNone bool) {
	os.Args = arguments
	if collectsNone = os.Getenv(envCollector) == "off"; collectsNone {
		os.Unsetenv(envCollector)
	}
	return collectsNone
}

// Inherited leaves out of an environment what is for one process only.
func Inherited(env []string) []string {
	kept := make([]string, 0, len(env)+8)
	for _, kv := range env {
		name, _, _ := strings.Cut(kv, "=")
		if !config.OfProcess(name) {
			kept = append(kept, kv)
		}
	}
	return kept
}
