// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package events

import "errors"

var errLinux = errors.New("this is not Linux")

func capabilityBit(string) int { return 0 }

func probeCapability(string, int) error { return errLinux }
func probeWriteIn(string) error         { return errLinux }
func probePrivileged() error            { return errLinux }
func probePty() error                   { return errLinux }
func probeUserNamespaces() error        { return errLinux }
func probeOverlay() error               { return errLinux }
func probeBPF() error                   { return errLinux }
func probeUserfaultfd() error           { return errLinux }
func probeIOUring() error               { return errLinux }
func probeMemfd() error                 { return errLinux }
func probeModules() error               { return errLinux }
func probeNetworkNamespaces() error     { return errLinux }
