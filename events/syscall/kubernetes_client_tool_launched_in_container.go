// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(KubernetesClientToolLaunchedInContainer, events.WithDisabled(),
	events.WithContainer(events.Container{}))

// KubernetesClientToolLaunchedInContainer starts kubectl in a container, to see
// what the container's service account may do.
//
// Rule: spawned_process of one of k8s_client_binaries in a container: a copy of
// this executable runs as kubectl. Needs: a container. No cluster is asked.
//
// ATT&CK: T1610, deploy container.
func KubernetesClientToolLaunchedInContainer(h events.Helper) error {
	if h.Spawned() {
		return nil
	}
	return h.SpawnAs("kubectl", "syscall.KubernetesClientToolLaunchedInContainer", "auth", "can-i", "--list")
}
