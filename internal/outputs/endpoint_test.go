// SPDX-License-Identifier: Apache-2.0

package outputs

import (
	"net/url"
	"os"
	"path/filepath"
	"testing"
)

// One endpoint has one turn, however it is spelled.
func TestEndpoint(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("run", filepath.Join(dir, "link")); err != nil {
		t.Skip(err)
	}
	for raw, want := range map[string]string{
		"unix://" + dir + "/link/falco.sock":          "unix://" + dir + "/run/falco.sock",
		"unix://" + dir + "/run/../run//falco.sock":   "unix://" + dir + "/run/falco.sock",
		"unix:///no/such/falco.sock":                  "unix:///no/such/falco.sock",
		"grpcs://LocalHost:5060?cert=a&key=b&ca=c":    "grpcs://127.0.0.1:5060",
		"grpcs://[::1]:5060":                          "grpcs://127.0.0.1:5060",
		"grpcs://falco.Example.com:5060?servername=x": "grpcs://falco.example.com:5060",
		"http://0.0.0.0:2801/some/path":               "http://0.0.0.0:2801",
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := endpoint(u); got != want {
			t.Errorf("%s: got %s, want %s", raw, got, want)
		}
	}
}
