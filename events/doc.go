// SPDX-License-Identifier: Apache-2.0

// Package events is the registry of actions: each triggers what one Falco
// rule should detect.
//
// An action is a function that registers itself when its package is
// initialised, so that importing the package is all it takes to have it:
//
//	var _ = events.Register(WriteBelowEtc)
//
//	// WriteBelowEtc writes a file below /etc.
//	func WriteBelowEtc(h events.Helper) error { … }
//
// Its name is "<package>.<function>", here syscall.WriteBelowEtc. [MatchRule]
// pairs it with the rule "Write below etc": what follows the name's last dot
// is compared with the rule's name, letters and digits only, ignoring case.
//
// # Conventions
//
//   - There is a subpackage for each data source: events/syscall,
//     events/k8saudit. Only actions are exported there.
//   - An action is a CamelCase function in an underscore_case file, both named
//     after the rule: WriteBelowEtc in write_below_etc.go.
//   - An action is registered [WithDisabled] when its rule is disabled by
//     default or is not in the stable ruleset.
//   - An action that cannot do its work in the current context returns
//     [ErrSkipped] with the reason. What it needs of the machine it declares as
//     data with [WithNeeds], so that it is skipped before it starts.
//   - An action is idempotent and puts back everything that it changed, with
//     [Helper.Cleanup], also when it fails.
//
// The package knows no Falco and no tests: package helper runs actions for any
// program, package falcotest runs them in tests and asserts on the alerts.
package events
