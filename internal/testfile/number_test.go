// SPDX-License-Identifier: Apache-2.0

package testfile

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/falcotest/go-falcotest/internal/scenario"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestSyscallNumbers finds the number of every call of the language.
func TestSyscallNumbers(t *testing.T) {
	for _, name := range scenario.SyscallNames() {
		if _, ok := callNumber(scenario.SyscallByName(name), "amd64"); !ok {
			t.Errorf("%s has no number", name)
		}
	}
	for name, arm := range map[string]bool{"open": false, "openat": true, "dup2": false, "prlimit64": true} {
		if _, ok := callNumber(scenario.SyscallByName(name), "arm64"); ok != arm {
			t.Errorf("%s on ARM: %v", name, ok)
		}
	}
}

// TestDocumentedSyscalls compares the page on the language with the calls that
// there are.
func TestDocumentedSyscalls(t *testing.T) {
	const page, begin, end = "../../falcotest/TESTFILES.md", "<!-- made by go test ./internal/testfile -update -->\n", "\nLeft out are"
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(data), begin)
	_, after, found2 := strings.Cut(rest, end)
	if !found || !found2 {
		t.Fatalf("%s has no place for the system calls", page)
	}
	names := scenario.SyscallNames()
	line, lines := "", ""
	for _, name := range names {
		if len(line)+len(name) > 132 {
			lines, line = lines+line+"\n", ""
		}
		line += "`" + name + "` "
	}
	want := before + begin + fmt.Sprintf("\n%d:\n\n%s%s\n", len(names), strings.ReplaceAll(lines, " \n", "\n"), strings.TrimSpace(line)) + end + after
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if data, _ := os.ReadFile(page); string(data) != want {
		t.Errorf("the list of system calls in %s is not up to date: go test ./internal/testfile -run Documented -update", page)
	}
}
