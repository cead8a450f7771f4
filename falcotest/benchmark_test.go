// SPDX-License-Identifier: Apache-2.0

package falcotest_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/falcotest/go-falcotest/falcotest"
)

// BenchmarkAction drives an action that opens one file, judged by whom
// FALCOTEST_FALCO names.
func BenchmarkAction(b *testing.B) {
	const rule = `
- rule: Opens File
  desc: A file in a folder named etc is opened for writing.
  condition: evt.type in (open, openat, openat2) and evt.is_open_write = true and fd.name endswith /etc/target
  output: File opened | file=%fd.name
  priority: NOTICE
`
	file := filepath.Join(b.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte(rule), 0o666); err != nil {
		b.Fatal(err)
	}
	falcotest.Benchmark(b, "fault.OpensFile", falcotest.WithRules(file))
}
