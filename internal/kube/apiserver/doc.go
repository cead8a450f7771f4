// SPDX-License-Identifier: Apache-2.0

// Package apiserver builds a program that is etcd and kube-apiserver in one
// process, for tests, and finds it again.
//
// The program's source is in the folder source: a module of its own, so that
// Kubernetes is no dependency of this module. Its files are embedded here
// rather than left to the go command to find, because a module's archive does
// not hold the modules inside it; that is also why its go.mod has another name.
//
// The package imports internal/filelock and internal/journal.
package apiserver
