// SPDX-License-Identifier: Apache-2.0

// Package gate tells what a change of rules does: which rules mean something else
// than they did ([Compare]), what became of what was accepted before
// ([Baseline.Compare]), which clauses the tests of a run decided ([Coverage]), and
// which faults in a rule no test would notice ([Mutants]).
//
// A [Gate] judges a run as a whole by them. Rules and what was planned come in from
// internal/plan, files of an earlier revision from the program git, and events and
// outcomes with the results of a run; findings go into its report and to the test that
// ran it, with their places in the rules files. It runs no action and writes no report.
// It imports internal/plan, internal/result and internal/report, and what loads and
// compiles rules.
package gate
