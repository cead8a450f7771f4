// SPDX-License-Identifier: Apache-2.0

package capture_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/capture"
	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/source/syscall/fields"
)

// longRecording is a recording of about a million events, not compressed: those of
// Falco's data, or where that is missing of an example, many times over.
func longRecording(b *testing.B) []byte {
	b.Helper()
	name := filepath.Join(testdataFolder(), "captures", "process.scap")
	if _, err := os.Stat(name); err != nil {
		name = filepath.Join("..", "..", "examples", "captures", "testdata", "incident.scap")
	}
	packed, err := os.ReadFile(name)
	if err != nil {
		b.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		b.Fatal(err)
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		b.Fatal(err)
	}
	// The tables come first, and events in blocks of the types 0x216 and 0x221.
	at, count := len(raw), 0
	for i := 0; i+8 <= len(raw); i += int(binary.LittleEndian.Uint32(raw[i+4:])) {
		if typ := binary.LittleEndian.Uint32(raw[i:]); typ == 0x216 || typ == 0x221 {
			at = min(at, i)
			count++
		}
	}
	long := bytes.Clone(raw[:at])
	for range (1<<20 + count - 1) / count {
		long = append(long, raw[at:]...)
	}
	return long
}

func benchmarkRules(b *testing.B) *rules.Set {
	var files []rules.File
	for _, name := range []string{"falco_rules.yaml", "falco-incubating_rules.yaml", "falco-sandbox_rules.yaml"} {
		data, err := os.ReadFile(filepath.Join(testdataFolder(), "rules", name))
		if err != nil {
			files = nil
			break
		}
		files = append(files, rules.File{Name: name, Data: data})
	}
	if files == nil {
		data, err := os.ReadFile(filepath.Join("..", "..", "examples", "captures", "rules", "rules.yaml"))
		if err != nil {
			b.Fatal(err)
		}
		files = append(files, rules.File{Name: "rules.yaml", Data: data})
	}
	return load(b, files...)
}

// BenchmarkReplay reads a million events, keeps their state and evaluates the rules
// that Falco ships, all enabled, where Falco's data are. Falco 0.43.1 makes 458,000
// events a second of the same.
func BenchmarkReplay(b *testing.B) {
	long := longRecording(b)
	e, err := engine.New(benchmarkRules(b), engine.Options{Enable: func(*rules.Rule) bool { return true }, Matching: engine.All})
	if err != nil {
		b.Fatal(err)
	}
	alerts, events := 0, uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		p, err := capture.NewPlayer(bytes.NewReader(long))
		if err != nil {
			b.Fatal(err)
		}
		p.Want(fields.Types(e.EventTypes(fields.SourceName)))
		ev := e.NewEvaluator()
		for {
			call, err := p.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			ev.Evaluate(fields.SourceName, call, func(*alert.Alert) { alerts++ })
		}
		events += p.Events()
	}
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(alerts)/float64(events)*1e6, "alerts/Mevent")
}

// BenchmarkPlayer reads and keeps state alone.
func BenchmarkPlayer(b *testing.B) {
	long := longRecording(b)
	events := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		n, err := 0, error(nil)
		p, err := capture.NewPlayer(bytes.NewReader(long))
		for err == nil {
			_, err = p.Next()
			n++
		}
		if !errors.Is(err, io.EOF) {
			b.Fatal(err)
		}
		events += p.Events()
	}
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
}
