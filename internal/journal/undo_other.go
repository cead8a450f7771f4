// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package journal

import "errors"

func (op Op) undoSystem() error { return errors.ErrUnsupported }

// StartOf returns an error: processes are named this way on Linux only.
func StartOf(int) (uint64, error) { return 0, errors.ErrUnsupported }
