// SPDX-License-Identifier: Apache-2.0

// Package helper runs actions (package events), each in a process of its own
// with the default [events.Helper], for programs that are no tests:
//
//	func main() {
//		helper.Main() // makes this process an action's, if it is to be one
//		r := helper.Runner{Deadline: 30 * time.Second}
//		for _, res := range r.Run(ctx, "syscall.WriteBelowEtc") {
//			fmt.Println(res.Action, res.Outcome)
//		}
//	}
//
// It also has what actions share: the helper actions, which they spawn under
// other names, and functions that change the machine and undo it, come what
// may: [CreateFile], [ModifyFile], [TempDir], [Undo] and its operations.
//
// The package imports package events and the packages that run and contain
// actions. It knows no Falco and no tests.
package helper
