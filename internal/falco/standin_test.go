// SPDX-License-Identifier: Apache-2.0

//go:build linux

package falco

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/serve"
	"github.com/falcotest/go-falcotest/internal/serve/servetest"
	"github.com/falcotest/go-falcotest/internal/verdict"
)

// The environment of a stand-in: what it says its version is, and how it fails.
const (
	envVersion = "FALCO_STANDIN_VERSION"
	envFail    = "FALCO_STANDIN_FAIL"
	envTrace   = "FALCO_STANDIN_TRACE" // the file that it writes its arguments to
)

func TestMain(m *testing.M) {
	if v := os.Getenv(envVersion); v != "" {
		os.Exit(standIn(v, os.Getenv(envFail)))
	}
	os.Exit(m.Run())
}

// standIn is this executable as a Falco: it takes a Falco's flags and
// configuration, and serves the gRPC API or posts to its HTTP output. Having
// no kernel to watch, it takes a new file in a folder of the test's for an open
// of the sentinel's path with the file's name as its nonce.
func standIn(version, fail string) int {
	fs := flag.NewFlagSet("falco", flag.ContinueOnError)
	var rules, options multi
	config := fs.String("c", "", "")
	showVersion := fs.Bool("version", false, "")
	fs.Bool("U", false, "")
	fs.Var(&rules, "r", "")
	fs.Var(&options, "o", "")
	if err := fs.Parse(os.Args[1:]); err != nil {
		return 1
	}
	logf := func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	if *showVersion {
		if fail == "not falco" {
			fmt.Println("hello 1.0")
			return 0
		}
		fmt.Printf("Falco version: %s\nLibs version:  0.0.0\n", version)
		return 0
	}
	if path := os.Getenv(envTrace); path != "" {
		os.WriteFile(path, []byte(strings.Join(os.Args[1:], "\n")), 0o600)
	}
	var conf struct {
		GRPC struct {
			Bind string `json:"bind_address"`
		} `json:"grpc"`
		HTTP struct {
			URL string `json:"url"`
		} `json:"http_output"`
	}
	b, err := os.ReadFile(*config)
	if err == nil {
		err = json.Unmarshal(b, &conf)
	}
	if err != nil {
		logf("Error: %v", err)
		return 1
	}
	switch fail {
	case "bad rules":
		logf("%s", badRules)
		return 1
	case "no privileges":
		logf("libpman: ring buffer map type is not supported (errno: 1 | message: Operation not permitted)\nError: Initialization issues during scap_init")
		return 1
	case "bad option":
		logf(`Error: Error parsing config option "nonsense". Must be of the form key=val or key.subkey=val`)
		return 1
	case "crash":
		logf("starting")
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "silent":
		// It runs, and serves nothing.
	}
	term := make(chan os.Signal, 1)
	if fail == "deaf" {
		signal.Ignore(syscall.SIGTERM)
	} else {
		signal.Notify(term, syscall.SIGTERM)
	}
	var send func(*alert.Alert)
	switch {
	case fail == "silent" || fail == "hang":
		send = func(*alert.Alert) {}
	case conf.GRPC.Bind != "":
		s, err := servetest.Start("unix", strings.TrimPrefix(conf.GRPC.Bind, "unix://"), servetest.Options{Version: version})
		if err != nil {
			logf("Error: %v", err)
			return 1
		}
		defer s.Close()
		send = func(a *alert.Alert) { s.Push(serve.Response(a)) }
	default:
		send = func(a *alert.Alert) {
			b, _ := json.Marshal(map[string]any{"rule": a.Rule, "output": a.Output, "priority": "Debug",
				"time": a.Time.UTC().Format(time.RFC3339Nano), "source": a.Source, "output_fields": a.Fields, "hostname": a.Hostname})
			if res, err := http.Post(conf.HTTP.URL, "application/json", bytes.NewReader(b)); err == nil {
				res.Body.Close()
			}
		}
	}
	logf("Opening 'syscall' source with a stand-in.")
	// It "sees" the opens that the test tells it.
	requests := os.Getenv("FALCO_STANDIN_OPENS")
	seen := map[string]bool{}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	n := 0
	for {
		select {
		case <-term:
			return 0
		case <-tick.C:
		}
		entries, _ := os.ReadDir(requests)
		for _, e := range entries {
			if seen[e.Name()] {
				continue
			}
			seen[e.Name()] = true
			n++
			if fail == "dies" && n == 2 {
				logf("Error: something broke inside")
				return 1
			}
			host, _ := os.Hostname()
			send(verdict.SentinelAlert(e.Name(), host))
		}
	}
}

const badRules = `Error: rules/bad.yaml: Invalid
1 Errors:
In rules content: (rules/bad.yaml:0:0)
    rule 'A': (rules/bad.yaml:0:2)
    rule condition: (rules/bad.yaml:2:13)
    condition expression: ("evt.type = open a...":3:34)
------
evt.type = open and nosuch.field = 1
                                   ^
------
LOAD_ERR_COMPILE_CONDITION (Error compiling condition): filter_check called with nonexistent field nosuch.field
`

type multi []string

func (m *multi) String() string     { return strings.Join(*m, ",") }
func (m *multi) Set(s string) error { *m = append(*m, s); return nil }
