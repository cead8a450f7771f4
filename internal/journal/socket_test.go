// SPDX-License-Identifier: Apache-2.0

//go:build unix

package journal

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCreateForSocket(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("d", 95))
	if err := os.Mkdir(long, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ temp, parent string }{
		{shortTemp, shortTemp},
		{long, shortTemp},
	} {
		t.Setenv("TMPDIR", test.temp)
		d, err := CreateForSocket("sockettest12", "falco.sock")
		if err != nil {
			t.Fatal(err)
		}
		if got := filepath.Dir(d.Path()); got != test.parent {
			t.Errorf("with TMPDIR=%s, it is in %s, want %s", test.temp, got, test.parent)
		}
		l, err := net.Listen("unix", filepath.Join(d.Path(), "falco.sock"))
		if err != nil {
			t.Error(err)
		} else {
			l.Close()
		}
		if _, err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}
