// SPDX-License-Identifier: Apache-2.0

package perform_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/perform"
	"github.com/falcotest/go-falcotest/internal/scenario"
)

func TestMain(m *testing.M) {
	child.Main()
	os.Exit(m.Run())
}

// said calls a function when what is written has a word in it.
type said struct {
	word string
	all  bytes.Buffer
	call func()
}

func (s *said) Write(p []byte) (int, error) {
	s.all.Write(p)
	if strings.Contains(s.all.String(), s.word) {
		s.call()
	}
	return len(p), nil
}

// A test that is stopped says where it stood.
func TestStoodWhere(t *testing.T) {
	if _, err := os.Stat("/bin/bash"); err != nil {
		t.Skip("there is no bash")
	}
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	waits := "echo waiting; read -r _ < " + fifo
	for name, test := range map[string]struct {
		s    scenario.Scenario
		want string
	}{
		"the script before": {scenario.Scenario{Before: waits, BeforePlace: "f.yaml:4:5"}, "the script before at f.yaml:4:5"},
		"the script after": {scenario.Scenario{
			After: waits, AfterPlace: "f.yaml:9:5",
			Steps: []scenario.Step{{Name: "a", Place: "f.yaml:7:5", Command: &scenario.Command{Program: "true"}}},
		}, "the script after at f.yaml:9:5"},
		"a program": {scenario.Scenario{Steps: []scenario.Step{
			{Name: "a", Place: "f.yaml:7:5", Command: &scenario.Command{Program: "true"}},
			{Name: "b", Place: "f.yaml:8:5", Command: &scenario.Command{Program: "bash", Args: []string{"-c", waits}}},
		}}, "the step b (the program bash) at f.yaml:8:5"},
	} {
		t.Run(name, func(t *testing.T) {
			test.s.Processes = []scenario.Process{{Name: "first"}, {Name: "second"}}
			data, err := json.Marshal(perform.Request{Scenario: &test.s})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			enough := errors.New("enough")
			c, err := child.Start(ctx, child.Spec{
				Action: "standing", Program: perform.Program, Data: data,
				Output: &said{word: "waiting", call: func() { cancel(enough) }},
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Go(child.Setup{}); err != nil {
				t.Fatal(err)
			}
			res := c.Wait(ctx)
			if !errors.Is(res.Err, enough) || !strings.HasSuffix(res.Reason, "it stood in "+test.want) {
				t.Errorf("got %q, want its end to be %q", res.Reason, test.want)
			}
		})
	}
}
