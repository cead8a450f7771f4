// SPDX-License-Identifier: Apache-2.0

// Package helper runs actions: it has the default [events.Helper], the hook by
// which an executable becomes an action's child, a [Runner] for programs that
// are no tests, and the helper.* actions that other actions spawn.
//
// A program that uses a Runner calls [Main] first:
//
//	func main() {
//		helper.Main()
//		r, err := helper.NewRunner(…)
//		…
//	}
//
// Tests use package falcotest, whose Main calls the hook.
//
// Each action runs in a child process of its own, this executable run again;
// the package itself works everywhere, children need Linux.
package helper
