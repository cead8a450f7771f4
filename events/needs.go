// SPDX-License-Identifier: Apache-2.0

package events

import (
	"errors"
	"os"
	"slices"
)

// Need is something that an action needs of the machine.
type Need struct {
	// Name is short and stable, for tables: "root", "pty", "CAP_NET_ADMIN".
	Name string
	// Probe returns nil when the need is met, else an error that says why not.
	// It is cheap and changes nothing.
	Probe func() error
	// Hint says how to meet the need.
	Hint string
}

// OwnNames is the need of an action that gives an address a name by an
// /etc/hosts which only the action sees, because nothing may reach a name
// server. Who judges decides whether it is met: a real Falco resolves names
// itself, in its own world.
var OwnNames = Need{
	Name: "a judge that knows the action's own host names",
	Hint: "judge by the built-in engine (builtin:)",
}

// Needs returns what the named action needs, in the order of declaration.
func Needs(name string) []Need {
	return slices.Clone(lookup(name).needs)
}

// Container says what the container of an action must be like. The zero value
// is an ordinary one: unprivileged, no mounts, root inside, no network.
type Container struct {
	Privileged  bool
	CapAdd      []string // "SYS_ADMIN": without CAP_
	Mounts      []string // "/host/path:/container/path[:ro]", bind mounts
	User        string   // "uid" or "uid:gid"
	HostNetwork bool
	HostPID     bool
	// SeccompUnconfined lets every system call reach the kernel. The engines'
	// default profiles answer some themselves, before a tracer sees them.
	SeccompUnconfined bool

	Name       string            // part of the container's name, for rules on container.name
	WholeName  bool              // Name is all of it: containers of one name run one after the other
	Repository string            // the image's repository, for rules on container.image.repository
	Tag        string            // its tag, unless there is an image of that name already; default: one that no image has
	Files      map[string]string // files of the image besides the executable, by absolute path
	Labels     map[string]string
}

// ContainerOf returns what the named action's container must be like, and
// whether it needs one at all.
func ContainerOf(name string) (Container, bool) {
	c := lookup(name).container
	if c == nil {
		return Container{}, false
	}
	return *c, true
}

// ContainerNeeds returns what the named action, where it runs in the container
// that this process is in, needs of that one: what [ContainerOf] asks for, as far
// as a process inside can tell.
func ContainerNeeds(name string) []Need {
	c, _ := ContainerOf(name)
	var needs []Need
	if c.Privileged {
		needs = append(needs, Need{
			Name: "a privileged container", Probe: probePrivileged,
			Hint: "run the tests in a container with --privileged, or on the host, where one is made for the action",
		})
	}
	for _, capability := range c.CapAdd {
		need := Capability("CAP_" + capability)
		need.Hint = "run the tests in a container with --cap-add " + capability + ", or on the host, where one is made for the action"
		needs = append(needs, need)
	}
	if len(c.Labels) > 0 {
		needs = append(needs, Need{
			Name: "a container with labels of its own", Probe: probeLabels,
			Hint: "run the tests on the host, where such a container is made for the action, or in a pod",
		})
	}
	return needs
}

// probeLabels tells whether this process may be in a container that has labels,
// as those of pods do; it cannot see them.
func probeLabels() error {
	if os.Getenv("KUBERNETES_SERVICE_HOST") == "" {
		return errors.New("this container is no pod's, and a process inside cannot give it labels")
	}
	return nil
}

// HostMounts returns why the named action must see the machine's own mounts,
// or "" when it need not.
func HostMounts(name string) string {
	return lookup(name).host
}
