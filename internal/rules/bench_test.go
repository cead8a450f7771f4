// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"context"
	"os"
	"testing"

	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/filter/filtertest"
)

// BenchmarkLoad loads and compiles all 93 upstream rules, files in memory.
func BenchmarkLoad(b *testing.B) {
	var files []File
	for _, name := range upstream(b) {
		data, err := os.ReadFile(name)
		if err != nil {
			b.Fatal(err)
		}
		files = append(files, File{name, data})
	}
	opts := Options{Sources: []filter.Source{filtertest.Syscalls(b)}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := LoadFiles(context.Background(), files, opts); err != nil {
			b.Fatal(err)
		}
	}
}
