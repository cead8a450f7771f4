// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Profile says what the pods on the nodes may do.
type Profile string

const (
	// Baseline is an ordinary pod: root in its container, with the capabilities
	// that the container runtime gives it, and none added.
	Baseline Profile = "baseline"
	// Privileged is a privileged container, for actions that mount, load or trace
	// what an ordinary pod cannot.
	Privileged Profile = "privileged"
)

// Defaults of [Options].
const (
	DefaultNamespace = "falcotest"
	DefaultDeadline  = 10 * time.Minute
	DefaultKeep      = 10 * time.Minute
)

// Options say what a run on nodes makes. Those that are empty mean the default.
type Options struct {
	Namespace       string // of all that is made
	CreateNamespace bool   // the run makes the namespace, and deletes it
	Run             string // tells the run from all others: small letters, digits and dashes
	Image           string
	PullSecrets     []string // names of secrets in the namespace
	Profile         Profile  // Baseline if empty
	Falco           string   // who judges, by URL as it is in the pod; builtin: if empty

	Args []string // of the test binary
	Env  []string // NAME=value, beside NODE_NAME and FALCOTEST_FALCO

	Deadline time.Duration // of one node's Job, from its creation on; in whole seconds
	Keep     time.Duration // how long a Job that has ended stays if nobody deletes it; in whole seconds
}

// judge is what the pods need of their node for the Falco that judges.
type judge struct {
	url    string
	socket string // a folder of the node, "" for none
	port   int32  // that the pod listens on for alerts, 0 for none
	path   string // of alerts that come there
	secure bool
}

// withDefaults fills in what is empty.
func (o Options) withDefaults() Options {
	if o.Namespace == "" {
		o.Namespace = DefaultNamespace
	}
	if o.Profile == "" {
		o.Profile = Baseline
	}
	if o.Falco == "" {
		o.Falco = "builtin:"
	}
	if o.Deadline == 0 {
		o.Deadline = DefaultDeadline
	}
	if o.Keep == 0 {
		o.Keep = DefaultKeep
	}
	return o
}

// maxRun leaves room for a node's hash in the names of Jobs, and for what
// Kubernetes adds to them in the names of pods.
const maxRun = 32

// Check tells what is wrong with the options.
func (o Options) Check() error {
	o = o.withDefaults()
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, problem := range validation.IsDNS1123Label(o.Namespace) {
		wrong("the namespace %q: %s", o.Namespace, problem)
	}
	for _, problem := range validation.IsDNS1123Label(o.Run) {
		wrong("the run's id %q: %s", o.Run, problem)
	}
	if len(o.Run) > maxRun {
		wrong("the run's id %q: it has more than %d letters", o.Run, maxRun)
	}
	if o.Profile != Baseline && o.Profile != Privileged {
		wrong("the profile %q: want %s or %s", o.Profile, Baseline, Privileged)
	}
	if o.Image == "" {
		wrong("no image is named: go tool falcotest image makes one")
	}
	if o.Deadline < time.Second {
		wrong("the deadline of a node, %v: want a second at least", o.Deadline)
	}
	if o.Keep < time.Second {
		wrong("how long Jobs are kept, %v: want a second at least", o.Keep)
	}
	for _, e := range o.Env {
		if name, _, ok := strings.Cut(e, "="); !ok || name == "" {
			wrong("the variable %q: want NAME=value", e)
		}
	}
	if _, err := judgeOf(o.Falco); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// judgeOf reads the URL of a judge, as it is in the pods.
func judgeOf(falco string) (judge, error) {
	j := judge{url: falco}
	scheme, rest, _ := strings.Cut(falco, ":")
	switch scheme {
	case "builtin", "replay":
		return j, nil
	case "unix":
		socket := path.Clean("/" + strings.TrimLeft(rest, "/"))
		j.socket = path.Dir(socket)
		if j.socket == "/" {
			return j, fmt.Errorf("the judge %q of nodes: the socket needs a folder of its own, which the pods mount: unix:///run/falco/falco.sock", falco)
		}
		return j, nil
	case "http", "https":
		u, err := url.Parse(falco)
		if err != nil {
			return j, fmt.Errorf("the judge %q of nodes: %w", falco, err)
		}
		port, err := strconv.ParseUint(u.Port(), 10, 16)
		if err != nil || port == 0 {
			return j, fmt.Errorf("the judge %q of nodes: want a port that the pods listen on, such as http://0.0.0.0:2801/SECRET", falco)
		}
		if host := u.Hostname(); host != "0.0.0.0" && host != "::" {
			return j, fmt.Errorf("the judge %q of nodes: each pod listens for its own node's Falco, at an address that is not known before: want %s://0.0.0.0:%d%s", falco, scheme, port, u.Path)
		}
		j.port, j.path, j.secure = int32(port), u.Path, scheme == "https"
		return j, nil
	}
	return j, fmt.Errorf("the judge %q of nodes: want unix:///run/falco/falco.sock, http://0.0.0.0:2801/SECRET, builtin: or replay:, as it is in a pod on the node", falco)
}
