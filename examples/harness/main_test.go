// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/falcotest/go-falcotest/falcotest"
)

func TestMain(m *testing.M) { falcotest.Main(m) }

func TestList(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-list", "-disabled", "-actions", `RunShellUntrusted|DoNothing`}, &out); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "helper.DoNothing\nsyscall.RunShellUntrusted\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRun(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-actions", `^syscall\.RemoveBulkDataFromDisk$`}, &out); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.Contains(got, "syscall.RemoveBulkDataFromDisk") || !strings.Contains(got, "completed") {
		t.Errorf("got\n%s", got)
	}
}

func TestNothingMatches(t *testing.T) {
	if err := run(t.Context(), []string{"-actions", "^nothing$"}, new(bytes.Buffer)); err == nil {
		t.Error("a run of no actions succeeded")
	}
}
