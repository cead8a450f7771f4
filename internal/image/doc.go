// SPDX-License-Identifier: Apache-2.0

// Package image makes an OCI image of the test binary of a package, for the
// platforms of a cluster's nodes: the binary, the rules and test files that its
// tests read, and nothing else. No container engine is needed, and equal sources
// make an equal image wherever they are, and whenever.
//
// The binaries are built by the go command. Which files the tests read they are
// asked: they run once with a variable by which package falcotest tells the files
// and runs nothing. [Build] makes an [Image], which goes to a registry or into a
// file. It imports internal/config, internal/rootfs and its own package fingerprint,
// by which the binary in a pod knows what it was made of. Only the command and
// tests import it: whatever tests rules does not link a registry's client.
package image
