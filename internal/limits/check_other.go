// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package limits

// Check returns the number that it is given: actions run on Linux only.
func Check(actions int) (int, error) { return actions, nil }
