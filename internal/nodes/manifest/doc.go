// SPDX-License-Identifier: Apache-2.0

// Package manifest says what a run on the nodes of a cluster makes there, and
// what it must be allowed to: typed objects, made from [Options] alone, and the
// same as YAML, with the reason for each permission.
//
// The driver of a run creates the objects that the functions here return, and
// the command's verb manifest prints them: what is printed is what is made. The
// package imports the types of Kubernetes' API, no client: nothing here reaches
// a cluster.
package manifest
