// SPDX-License-Identifier: Apache-2.0

// Package perform runs a scenario: what one case of a test file does. It is a
// program of package child, and works in an action's process.
//
// Before anyone watches, it makes what the scenario needs and is no part of it:
// executables under the names of the chain's processes, users that do not exist,
// addresses of a network namespace. At the gate it starts the first process of
// the chain (package stage), and hands on what the last one reports. What does
// not vanish with the process is written to the journal before it is changed.
//
// It imports internal/child, internal/scenario, internal/stage and
// internal/hermetic. A [Request] enters by child.Spec, the outcome leaves as an
// action's.
package perform

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/hermetic"
	"github.com/falcotest/go-falcotest/internal/scenario"
)

// Program is the name of the program of package child.
const Program = "scenario"

// Request is what the program is given.
type Request struct {
	Scenario *scenario.Scenario `json:"scenario"`
	// Network says that the process has a network namespace of its own.
	Network bool `json:"network,omitempty"`
	// Made says that it is in a container that was made for it.
	Made bool `json:"made,omitempty"`
}

// Prepare completes the specification of a process so that it runs the scenario.
// In a container that is made for it, the namespaces are the container's.
func Prepare(spec *child.Spec, s *scenario.Scenario, made bool) error {
	addresses := Addresses(s)
	data, err := json.Marshal(Request{Scenario: s, Made: made, Network: made || spec.Hermetic && len(addresses) > 0})
	if err != nil {
		return fmt.Errorf("preparing a scenario: %w", err)
	}
	spec.Program, spec.Data = Program, data
	spec.Mounts = hermetic.Options{All: true, Network: len(addresses) > 0, Addresses: addresses}
	return nil
}

// Addresses are those that a scenario asks for, which exist in a network
// namespace of its own alone.
func Addresses(s *scenario.Scenario) []netip.Addr {
	var list []netip.Addr
	add := func(address string) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return
		}
		if ip, err := netip.ParseAddr(host); err == nil && ip.Zone() == "" {
			list = append(list, ip)
		}
	}
	for _, r := range s.Resources {
		if r.ClientServer != nil {
			add(r.ClientServer.Address)
		}
	}
	for _, step := range s.Steps {
		if step.Call == nil {
			continue
		}
		known := scenario.SyscallByName(step.Call.Name)
		if known == nil {
			continue
		}
		for _, a := range known.Args {
			if v := step.Call.Args[a.Name]; a.Kind == scenario.Address && v.Text != nil && !strings.HasPrefix(*v.Text, "unix://") {
				add(*v.Text)
			}
		}
	}
	return list
}
