// SPDX-License-Identifier: Apache-2.0

package places_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/places"
)

// envDescribe has this program describe where it is, and end.
const envDescribe = "PLACES_TEST_DESCRIBE"

func TestMain(m *testing.M) {
	places.Main()
	if os.Getenv(envDescribe) != "" {
		describe()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func describe() {
	self, err := os.Readlink("/proc/self")
	fmt.Println("uid", os.Getuid(), "pid", os.Getpid(), "self", self, err)
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		for _, name := range []string{"CapEff:", "CapBnd:", "NoNewPrivs:"} {
			if value, ok := strings.CutPrefix(line, name); ok {
				fmt.Println(name, strings.TrimSpace(value))
			}
		}
	}
	var files unix.Rlimit
	unix.Getrlimit(unix.RLIMIT_NOFILE, &files)
	fmt.Println("files", files.Max, "temp", len(os.TempDir()))
	fmt.Println("io_uring:", events.IOUring.Probe())
	fmt.Println("admin:", events.Capability("CAP_SYS_ADMIN").Probe())
	_, err = unix.PidfdOpen(os.Getpid(), 0)
	fmt.Println("pidfd_open:", err)
}

func TestPlaces(t *testing.T) {
	want := map[string][]string{
		"user 65534":               {"uid 65534 "},
		"unshare -pf":              {"pid 1 self "},
		"unshare -pf --mount-proc": {"pid 1 self 1 "},
		"unshare -Ur":              {"uid 0 ", "admin: <nil>"},
		"capsh --drop=all":         {"CapEff: 0000000000000000", "CapBnd: 0000000000000000", "admin: this process does not have CAP_SYS_ADMIN"},
		"setpriv --no-new-privs":   {"NoNewPrivs: 1"},
		"ulimit -n 64":             {"files 64 "},
		"a long TMPDIR":            {"temp 1"},
		"no io_uring_setup":        {"io_uring: io_uring_setup is not allowed: operation not permitted"},
		"no pidfd_open":            {"pidfd_open: operation not permitted"},
	}
	for _, p := range places.All() {
		if p.InContainer() {
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			if os.Getuid() != 0 {
				t.Skip("needs root")
			}
			shared, err := os.MkdirTemp("", "places-")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(shared) })
			if err := os.Chmod(shared, 0o755); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			err = p.Run(t.Context(), nil, places.Command{Env: []string{envDescribe + "=1"}, Dir: "/", Shared: shared, Output: &out})
			if unavailable := (*places.UnavailableError)(nil); errors.As(err, &unavailable) {
				t.Skipf("%v\n%s", err, &out)
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, &out)
			}
			for _, text := range want[p.Name] {
				if !strings.Contains(out.String(), text) {
					t.Errorf("no %q in:\n%s", text, &out)
				}
			}
		})
		delete(want, p.Name)
	}
	for name := range want {
		t.Errorf("there is no place %q", name)
	}
}
