// SPDX-License-Identifier: Apache-2.0

package events

import (
	"time"

	"github.com/sirupsen/logrus"
	"k8s.io/cli-runtime/pkg/resource"
)

// Action triggers what one Falco rule should detect. A nil error says that it
// did all it set out to do, [ErrSkipped] that the context does not allow it,
// and any other error that it failed.
type Action func(Helper) error

// ErrSkipped is returned by an action that cannot do its work in the current
// context. Use a pointer: return &events.ErrSkipped{Reason: "needs root"}.
type ErrSkipped struct {
	Reason string
}

// Error implements error.
func (e *ErrSkipped) Error() string {
	return "skipped: " + e.Reason
}

// Helper is what an action may ask of whoever runs it.
//
// Package helper has the default implementation.
type Helper interface {
	// Log returns a log entry that carries the action's default fields.
	Log() *logrus.Entry

	// Sleep pauses for at least d, and logs that it does.
	Sleep(d time.Duration)

	// Cleanup registers f to run when the action completes or later, the last
	// added first. The arguments are logged when f runs.
	Cleanup(f func(), args ...interface{})

	// SpawnAs starts a child process that runs the named action from a copy of
	// this executable named name, with args as its command line, and waits
	// until it ends. In the child, Spawned is true. The pair "--sleep D" among
	// args delays the child's action by the duration D.
	SpawnAs(name string, action string, args ...string) error

	// SpawnAsWithSymlink is SpawnAs through a symbolic link named name.
	SpawnAsWithSymlink(name string, action string, args ...string) error

	// Spawned tells whether this process was started by SpawnAs.
	Spawned() bool

	// ResourceBuilder returns a builder of Kubernetes resources, set up for
	// the cluster and the namespace that the caller chose.
	ResourceBuilder() *resource.Builder

	// InContainer tells whether this process runs in a container.
	InContainer() bool

	// ExePath returns the path of the running executable.
	ExePath() string
}
