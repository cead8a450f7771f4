// SPDX-License-Identifier: Apache-2.0

//go:build linux

package trace

import "github.com/falcotest/go-falcotest/internal/event"

// 32-bit ARM programs have no socketcall, and their calls are not reported.
const socketcall = -1

var socketcalls [0]event.Type

func compatType(int) event.Type { return event.None }

func compatNumbers(*typeSet) []int { return nil }
