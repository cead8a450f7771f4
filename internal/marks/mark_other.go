// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package marks

func (m Marks) mark(kind, a, b uintptr) {}
