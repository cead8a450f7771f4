// SPDX-License-Identifier: Apache-2.0

package falcotest_test

import (
	"testing"

	_ "github.com/falcotest/go-falcotest/events/syscall"
	"github.com/falcotest/go-falcotest/falcotest"
)

func TestMain(m *testing.M) { falcotest.Main(m) }
