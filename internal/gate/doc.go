// SPDX-License-Identifier: Apache-2.0

// Package gate tells what a change of rules does: which rules mean something else
// than they did ([Compare]), what became of what was accepted before
// ([Baseline.Compare]), which clauses the tests of a run decided ([Coverage]), and
// which faults in a rule no test would notice ([Mutants]).
//
// It imports the packages that load and compile rules. Rules come in from
// internal/rules, files of an earlier revision from the program git, events and
// outcomes from package falcotest; findings go back to it, with their places in
// the rules files. It runs no action and writes no report.
package gate
