// SPDX-License-Identifier: Apache-2.0

// Package replaytest makes a test's executable a stand-in for a Falco that replays
// recordings, so that judging by such a Falco can be tested where there is none.
//
// The stand-in judges with this project's engine: it shows the way of the recordings
// and the alerts, and says nothing of what a real Falco makes of them. It imports
// internal/capture, engine, rules and the sources of events.
package replaytest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/capture"
	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/source/syscall/fields"
)

// The environment of a stand-in.
const (
	enabled = "FALCO_REPLAY_STANDIN" // it is one
	deafTo  = "FALCO_REPLAY_DEAF"    // the rule that it does not know to alert for
	failing = "FALCO_REPLAY_FAILS"   // it fails to replay
	runs    = "FALCO_REPLAY_RUNS"    // the file to which it adds a line for each replay
)

// Main is for TestMain: where this process is to be a stand-in, it is one, and the
// process ends.
func Main() {
	if os.Getenv(enabled) == "" {
		return
	}
	if err := standIn(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func standIn(args []string) error {
	var files []string
	var config, recording string
	for i := 0; i < len(args); i++ {
		next := func() string {
			if i++; i < len(args) {
				return args[i]
			}
			return ""
		}
		switch args[i] {
		case "--version":
			fmt.Println("Falco version: 0.43.1 (x86_64)")
			return nil
		case "--dry-run":
			return nil
		case "-c":
			config = next()
		case "-r":
			files = append(files, next())
		case "-o":
			if name, ok := strings.CutPrefix(next(), "engine.replay.capture_file="); ok {
				recording = name
			}
		}
	}
	if os.Getenv(failing) != "" {
		return errors.New("the stand-in was told to fail")
	}
	if name := os.Getenv(runs); name != "" {
		f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
		if err != nil {
			return err
		}
		fmt.Fprintln(f, "replay")
		f.Close()
	}
	return replay(config, files, recording)
}

// replay prints the alerts of a recording as Falco does.
func replay(config string, names []string, recording string) error {
	var conf struct {
		Append []struct {
			Fields []string `json:"extra_fields"`
		} `json:"append_output"`
		Rules []any `json:"rules"`
	}
	b, err := os.ReadFile(config)
	if err == nil {
		err = json.Unmarshal(b, &conf)
	}
	if err != nil {
		return err
	}
	var files []rules.File
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		files = append(files, rules.File{Name: name, Data: data})
	}
	set, err := rules.LoadFiles(context.Background(), files, rules.Options{Sources: []filter.Source{fields.New()}})
	if err != nil {
		return err
	}
	o := engine.Options{Matching: engine.All, TimeISO8601: true, ExtraFields: map[string][]string{fields.SourceName: conf.Append[0].Fields}}
	if len(conf.Rules) > 0 {
		o.Enable = func(*rules.Rule) bool { return true }
	}
	e, err := engine.New(set, o)
	if err != nil {
		return err
	}
	f, err := os.Open(recording)
	if err != nil {
		return err
	}
	defer f.Close()
	p, err := capture.NewPlayer(f)
	if err != nil {
		return err
	}
	ev := e.NewEvaluator()
	out := json.NewEncoder(os.Stdout)
	for {
		call, err := p.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		ev.Evaluate(fields.SourceName, call, func(a *alert.Alert) {
			if a.Rule != os.Getenv(deafTo) {
				_ = out.Encode(map[string]any{
					"hostname": a.Hostname, "output": a.Output, "output_fields": a.Fields, "priority": a.Priority.String(), "rule": a.Rule,
					"source": a.Source, "tags": slices.Clone(a.Tags), "time": a.Time.UTC().Format("2006-01-02T15:04:05.000000000Z"),
				})
			}
		})
	}
}
