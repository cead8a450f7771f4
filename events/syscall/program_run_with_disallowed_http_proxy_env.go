// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"fmt"
	"os"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(ProgramRunWithDisallowedHTTPProxyEnv, events.WithDisabled())

// ProgramRunWithDisallowedHTTPProxyEnv runs a download tool with a proxy that
// an attacker chose, who then sees what it transfers.
//
// Rule: spawned_process of one of http_proxy_procs with HTTP_PROXY in its
// environment: a copy of this executable runs as curl. Needs: nothing. Nothing
// is transferred.
//
// ATT&CK: T1204, user execution.
func ProgramRunWithDisallowedHTTPProxyEnv(h events.Helper) error {
	if h.Spawned() {
		return nil
	}
	keepEnvironment()
	if err := os.Setenv("HTTP_PROXY", "http://127.0.0.1:3128"); err != nil {
		return fmt.Errorf("setting a proxy: %w", err)
	}
	return h.SpawnAs("curl", "syscall.ProgramRunWithDisallowedHTTPProxyEnv", "http://127.0.0.1/")
}
