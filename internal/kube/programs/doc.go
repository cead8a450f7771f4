// SPDX-License-Identifier: Apache-2.0

// Package programs builds the programs that tests make clusters of, and finds
// them again: [APIServer], [Nodes] and [Simulator].
//
// Their sources are in the folder source: modules of their own, so that
// Kubernetes is no dependency of this module. Their files are embedded here
// rather than left to the go command to find, because a module's archive does
// not hold the modules inside it; that is also why a go.mod has another name.
//
// The package imports internal/filelock and internal/journal.
package programs
