// SPDX-License-Identifier: Apache-2.0

package falcotest

import "github.com/falcotest/go-falcotest/internal/config"

// Exec says how a Falco is started, by [WithFalco] with exec: or replay:. The zero
// value starts it as it is installed. What the environment names is added to the lists.
type Exec struct {
	// Engine is the engine kind, e.g. "kmod". Empty means "modern_ebpf", or
	// "nodriver", which needs no privileges, where all rules under test are for events
	// of plugins.
	Engine string

	// Options are further "key=value" options, as of Falco's -o; they win over all
	// else.
	Options []string

	// Rules are further rules files, loaded before those under test.
	Rules []string

	// Plugins are plugins to load, each as NAME=LIBRARY, or NAME=LIBRARY,OPENPARAMS
	// for a source of events, beside those that are found: the container plugin, and
	// for rules on Kubernetes audit events k8saudit and json, if they are installed
	// where Falco's packages and falcoctl put them.
	//
	// k8saudit is to listen at its open parameters, where the API server's audit
	// events go to:
	//
	//	"k8saudit=/opt/plugins/libk8saudit.so,http://127.0.0.1:9765/k8s-audit"
	//	"json=/opt/plugins/libjson.so"
	//
	// With such plugins the Falco runs with GOMAXPROCS=1, unless that is set already:
	// with more, plugins written in Go extract fields in a goroutine beside Falco's
	// thread, which keeps each audit event waiting for 0.7 s on a machine of two
	// processors.
	Plugins []string
}

// WithExec says how a Falco is started.
func WithExec(e Exec) Option {
	return func(c *settings) { c.Exec = config.Exec(e) }
}
