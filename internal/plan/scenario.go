// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"

	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/hermetic"
	"github.com/falcotest/go-falcotest/internal/perform"
	"github.com/falcotest/go-falcotest/internal/scenario"
)

// prepareScenario completes the specification of a process so that it runs the
// scenario. In a container that is made for it, the namespaces are the container's.
func prepareScenario(spec *child.Spec, s *scenario.Scenario, made bool) error {
	request := perform.Request{Scenario: s, Made: made, InContainer: made || child.InContainer(), Sockets: map[string][]byte{}}
	for _, address := range socketAddresses(s) {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("preparing a scenario: %q is no socket address: %w", address, err)
		}
		request.Sockets[address] = socketAddress(at)
		if at.Addr().Zone() == "" {
			request.Addresses = append(request.Addresses, at.Addr().Unmap().AsSlice())
		}
	}
	request.Network = made || spec.Hermetic && len(request.Addresses) > 0
	data, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("preparing a scenario: %w", err)
	}
	spec.Program, spec.Data = perform.Program, data
	spec.Mounts = hermetic.Options{All: true, Network: len(request.Addresses) > 0, Addresses: request.Addresses}
	return nil
}

// socketAddresses are those that a scenario names, but for those of unix sockets.
// They exist in a network namespace of its own alone.
func socketAddresses(s *scenario.Scenario) (list []string) {
	for _, r := range s.Resources {
		if r.ClientServer != nil && r.ClientServer.Proto != "unix" {
			list = append(list, r.ClientServer.Address)
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
				list = append(list, *v.Text)
			}
		}
	}
	return list
}

// socketAddress is an address as Linux takes it: struct sockaddr_in and sockaddr_in6
// of linux/in.h and linux/in6.h.
func socketAddress(at netip.AddrPort) (b []byte) {
	const inet, inet6 = 2, 10
	if at.Addr().Is4() {
		b = binary.NativeEndian.AppendUint16(b, inet)
		b = binary.BigEndian.AppendUint16(b, at.Port())
		return append(append(b, at.Addr().AsSlice()...), make([]byte, 8)...)
	}
	b = binary.NativeEndian.AppendUint16(b, inet6)
	b = binary.BigEndian.AppendUint16(b, at.Port())
	b = append(b, 0, 0, 0, 0)
	return append(append(b, at.Addr().AsSlice()...), 0, 0, 0, 0)
}
