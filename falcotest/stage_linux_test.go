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

// TestProcessesBeginEarly has the processes of a test's case begin before packages are
// initialised that they have no use for: that is most of what such a process costs.
func TestProcessesBeginEarly(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	heavy := []string{"net", "net/netip", "google.golang.org/grpc", "k8s.io/client-go/kubernetes/scheme"}
	for _, test := range []struct{ what, env, says string }{
		{"the case's own", "FALCOTEST_CONTROL=action scenario", `"type":"hello"`},
		{"one of the chain", "FALCOTEST_STAGE=900", "receiving from the chain of processes"}, // it fails for want of the socket
	} {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), test.env, "GODEBUG=inittrace=1")
		out, _ := cmd.CombinedOutput()
		if !strings.Contains(string(out), test.says) {
			t.Errorf("it is no process of a case, %s:\n%s", test.what, out)
			continue
		}
		begun := regexp.MustCompile(`(?m)^init (\S+)`).FindAllStringSubmatch(string(out), -1)
		if len(begun) == 0 {
			t.Errorf("%s: the runtime tells of no initialisation:\n%s", test.what, out)
		}
		for _, m := range begun {
			if slices.Contains(heavy, m[1]) {
				t.Errorf("%s is initialised before %s begins: what of it do its packages import?", m[1], test.what)
			}
		}
		heavy = append(heavy, "os/exec", "path/filepath", "regexp") // the chain's begin earlier still
	}
}
