// SPDX-License-Identifier: Apache-2.0

// Package falcoyaml reads YAML as Falco reads its rules files: as yaml-cpp does,
// at the commit (c2bec4c, October 2024) that Falco 0.43 is built with.
//
// A test of rules must load what Falco loads and refuse what Falco refuses, and
// yaml-cpp is not YAML 1.2 to the letter: it takes bytes that are no UTF-8,
// control characters, tabs in flow collections and any name of an anchor, it
// splits a file into documents where others see an error, and it ends a file at
// the first document that holds nothing. The libraries for Go differ from it, and
// from each other, in just these places.
//
// [Parse] turns the bytes of a file into the trees of its documents. Every node
// knows where it begins, and every byte of a scalar where it stands in the file,
// whatever style it was written in. Aliases are not copied: the node that they
// name is in the tree several times, and a node may contain itself.
//
// The package imports nothing of this module.
package falcoyaml
