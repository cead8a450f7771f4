// SPDX-License-Identifier: Apache-2.0

package falcotest_test

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestStageBeginsEarly has a process of a test's chain begin before packages are
// initialised that it has no use for: that is most of what such a process costs.
func TestStageBeginsEarly(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "FALCOTEST_STAGE=900", "GODEBUG=inittrace=1")
	out, _ := cmd.CombinedOutput() // it fails for want of the socket
	if !strings.Contains(string(out), "receiving from the chain of processes") {
		t.Fatalf("it is no process of a chain:\n%s", out)
	}
	begun := regexp.MustCompile(`(?m)^init (\S+)`).FindAllStringSubmatch(string(out), -1)
	if len(begun) == 0 {
		t.Fatalf("the runtime tells of no initialisation:\n%s", out)
	}
	for _, m := range begun {
		if slices.Contains([]string{"net", "net/netip", "os/exec", "path/filepath", "google.golang.org/grpc", "k8s.io/client-go/kubernetes/scheme"}, m[1]) {
			t.Errorf("%s is initialised before package stage begins: what does stage, or what it imports, import of it?", m[1])
		}
	}
}
