// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package trace_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/trace"
)

func init() {
	// loop N CALL: make a call N times and print how many nanoseconds each took.
	tracees["loop"] = func(args []string) {
		n, _ := strconv.Atoi(args[0])
		begin := time.Now()
		for range n {
			switch args[1] {
			case "openat":
				unix.Openat(unix.AT_FDCWD, "/etc/does-not-exist", unix.O_RDONLY, 0)
			case "open and close":
				if fd, err := unix.Openat(unix.AT_FDCWD, "/etc/hostname", unix.O_RDONLY, 0); err == nil {
					unix.Close(fd)
				}
			case "getppid":
				unix.Getppid()
			}
		}
		fmt.Println(time.Since(begin).Nanoseconds() / int64(n))
	}
}

// nsPerCall runs the loop with the filter for these events and returns how
// long a call took.
func nsPerCall(b *testing.B, traced []event.Type, n int, call string) float64 {
	b.Helper()
	events := 0
	tr := attach(b, context.Background(), trace.Options{Types: traced, Handler: func(*event.Event) { events++ }},
		"loop", strconv.Itoa(n), call)
	if traced == nil {
		tr.prog = nil
	}
	tr.open()
	if exit, err := tr.Wait(); err != nil || exit.Code != 0 {
		b.Fatal(exit, err)
	}
	text, _ := os.ReadFile(tr.out)
	ns, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
	if err != nil {
		b.Fatal(err)
	}
	return ns
}

func benchmarkCall(b *testing.B, call string, names ...string) {
	plain := nsPerCall(b, nil, 20000, call)
	traced := nsPerCall(b, types(b, names...), max(b.N, 1), call)
	b.ReportMetric(plain/1000, "µs/untraced")
	b.ReportMetric((traced-plain)/1000, "µs/added")
}

// A call that stops: entry, exit, decoding and the handler.
func BenchmarkTracedOpenat(b *testing.B)        { benchmarkCall(b, "openat", "openat") }
func BenchmarkTracedOpenatSuccess(b *testing.B) { benchmarkCall(b, "open and close", "openat") }
func BenchmarkCallThatPasses(b *testing.B) {
	benchmarkCall(b, "getppid", "openat", "execve", "connect")
}
