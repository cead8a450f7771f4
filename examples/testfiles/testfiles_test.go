// SPDX-License-Identifier: Apache-2.0

// Package testfiles shows tests that need no Go: those in rules/*_falcotest.yaml,
// next to the rules that they test. This file is all the Go that there is.
package testfiles

import (
	"testing"

	"github.com/falcotest/go-falcotest/falcotest"
)

func TestMain(m *testing.M) { falcotest.Main(m) }

func TestFiles(t *testing.T) { falcotest.RunFiles(t) }
