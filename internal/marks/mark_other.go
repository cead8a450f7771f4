// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package marks

import "errors"

func (m Marks) mark(kind, a, b uintptr) {}

// InstallFilter returns [errors.ErrUnsupported] on this system.
func InstallFilter([]byte) error { return errors.ErrUnsupported }
