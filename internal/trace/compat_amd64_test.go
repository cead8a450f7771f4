// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/elastic/go-seccomp-bpf/arch"
	"github.com/google/go-cmp/cmp"
)

// The numbers of 32-bit x86 are those of a library, which to initialise costs every
// process of this program more than it is worth.
func TestCompatNumbers(t *testing.T) {
	var b strings.Builder
	b.WriteString("// SPDX-License-Identifier: Apache-2.0\n\npackage trace\n\n" +
		"// i386Calls are the system calls of 32-bit x86 by their numbers. They are made by\n// go test ./internal/trace -update.\nvar i386Calls = [...]string{\n")
	for _, nr := range slices.Sorted(maps.Keys(arch.I386.SyscallNumbers)) {
		fmt.Fprintf(&b, "\t%d: %q,\n", nr, arch.I386.SyscallNumbers[nr])
	}
	b.WriteString("}\n")
	const file = "i386_amd64.go"
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// gofmt aligns what stands behind the numbers.
	plain := func(s string) string { return strings.ReplaceAll(s, " ", "") }
	if diff := cmp.Diff(plain(b.String()), plain(string(have))); diff != "" {
		t.Errorf("%s is not what go test ./internal/trace -update writes: -want +got\n%s", file, diff)
	}
}
