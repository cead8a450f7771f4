// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(KnownCryptominerProcessExecuted, events.WithDisabled())

// KnownCryptominerProcessExecuted starts a crypto miner by its usual name.
//
// Rule: spawned_process of one of known miners (is_miner_process): a copy of
// this executable runs as xmrig. Needs: nothing. Nothing is mined.
//
// ATT&CK: T1496, resource hijacking.
func KnownCryptominerProcessExecuted(h events.Helper) error {
	if h.Spawned() {
		return nil
	}
	return h.SpawnAs("xmrig", "syscall.KnownCryptominerProcessExecuted", "--config=config.json")
}
