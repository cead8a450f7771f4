// SPDX-License-Identifier: Apache-2.0

// Package run runs an action to its end, wherever that is: in a process of this
// executable, or in a container that is made for it.
//
// An [Action] enters, from the registry or planned by package plan, and leaves as a
// child.Result. Between the two, at the gate of its process, whoever watches or judges
// gets ready. helper.Runner and package falcotest both run their actions by it. It
// imports events, internal/child, internal/container and internal/incontainer.
package run

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/falcotest/go-falcotest/internal/child"
)

// Runner runs actions. Its fields must not change while it does; its methods are safe
// for concurrent use.
type Runner struct {
	Containers *Containers
	// Env is added to the environment of the processes, as NAME=value.
	Env []string
	// KubeFlags are what their ResourceBuilder shall use.
	KubeFlags []string
	// Hermetic asks for folders that vanish with them.
	Hermetic bool
	// Deadline and Grace are those of child.Spec.
	Deadline, Grace time.Duration

	Log      func(child.Record)
	LogLevel logrus.Level
	Output   io.Writer
}

// Run runs an action and waits for its end. The gate is called while its process waits
// and has done nothing of the action's yet; its error ends the process. Nil lets it go
// at once. The id is that of the run, "" for a new one.
//
// With an error, the action has not run.
func (r *Runner) Run(ctx context.Context, a *Action, id string, gate func(*child.Child) (child.Setup, error)) (child.Result, error) {
	spec := child.Spec{
		Action: a.Registered, ID: id, Env: slices.Clone(r.Env), Deadline: r.Deadline, Grace: r.Grace,
		Hermetic: r.Hermetic && !a.HostMounts, KubeFlags: r.KubeFlags,
		Log: r.Log, LogLevel: r.LogLevel, Output: r.Output,
	}
	made := a.Made()
	if a.Program != nil {
		spec.Action = a.Name
		if err := a.Program(&spec, made); err != nil {
			return child.Result{}, err
		}
	}
	start := child.Start
	if made {
		engine, err := r.Containers.Reach(ctx)
		if err != nil {
			return child.Result{}, err
		}
		start = func(ctx context.Context, spec child.Spec) (*child.Child, error) {
			c, _, err := engine.Start(ctx, spec, *a.Container)
			return c, err
		}
	}
	c, err := start(ctx, spec)
	if err != nil {
		return child.Result{}, err
	}
	var setup child.Setup
	if gate != nil {
		if setup, err = gate(c); err != nil {
			c.Kill(nil)
			return child.Result{}, err
		}
	}
	if err := c.Go(setup); err != nil {
		return c.Kill(setup.Exit), err
	}
	return c.Wait(ctx), nil
}
