// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import "github.com/falcotest/go-falcotest/events"

var _ = events.Register(DetectCryptoMinersUsingTheStratumProtocol, events.WithDisabled())

// DetectCryptoMinersUsingTheStratumProtocol starts a crypto miner with the
// address of its pool.
//
// Rule: spawned_process with stratum+tcp on its command line: a copy of this
// executable runs under a name that says nothing and connects to a server of
// its own on loopback. Needs: nothing. Nothing is mined.
//
// ATT&CK: T1496, resource hijacking.
func DetectCryptoMinersUsingTheStratumProtocol(h events.Helper) error {
	if h.Spawned() {
		return talkToLastArgs()
	}
	host, port, err := serveLoopback(h, "")
	if err != nil {
		return err
	}
	return h.SpawnAs("worker", "syscall.DetectCryptoMinersUsingTheStratumProtocol",
		"-o", "stratum+tcp://"+host+":"+port, "-u", "wallet", host, port)
}
