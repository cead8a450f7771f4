// SPDX-License-Identifier: Apache-2.0

package jsonlines_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/falcotest"
	"github.com/falcotest/go-falcotest/internal/source/jsonlines" // in the list of this test's sources
	"github.com/falcotest/go-falcotest/internal/testfile"
)

func TestMain(m *testing.M) { falcotest.Main(m) }

// Actions of a package that is none of the project's own: what they say that they
// need tells which source they are for.
var (
	_ = events.Register(AdminLogin, events.WithNeeds(jsonlines.Need))
	_ = events.Register(UserLogin, events.WithNeeds(jsonlines.Need))
)

func AdminLogin(events.Helper) error { return tell("login", "admin") }

func UserLogin(events.Helper) error { return tell("login", "eve") }

// tell sends an event as an application would.
func tell(action, user string) error {
	c, err := net.Dial("tcp", os.Getenv(jsonlines.Address))
	if err != nil {
		return err
	}
	defer c.Close()
	line, err := json.Marshal(map[string]string{"app.id": os.Getenv("FALCOTEST_ID"), "app.action": action, "app.user": user})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(c, "%s\n", line); err != nil {
		return err
	}
	_, err = bufio.NewReader(c).ReadString('\n')
	return err
}

func TestLive(t *testing.T) {
	s := falcotest.Start(t, falcotest.WithRules("testdata/rules.yaml"))
	r := s.Do(t.Context(), "jsonlines_test.AdminLogin")
	if r.Outcome != falcotest.Detected || r.Correlation != "environment" {
		t.Errorf("%s by %s: %s", r.Outcome, r.Correlation, r.Reason)
	}
	missed := s.Do(t.Context(), "jsonlines_test.UserLogin")
	if missed.Outcome != falcotest.Missed || !strings.Contains(missed.Why, "app.user") {
		t.Errorf("%s: %s\n%v", missed.Outcome, missed.Reason, missed.Why)
	}
}

func TestRecorded(t *testing.T) {
	t.Setenv("FALCOTEST_RULES", "testdata/rules.yaml")
	falcotest.Replay(t, "testdata/*.jsonl")
}

// Tests of files may have events of the source, and whatever the source has them do.
func TestFiles(t *testing.T) {
	t.Setenv("FALCOTEST_RULES", "testdata/rules.yaml")
	falcotest.RunFiles(t)
	_, err := testfile.Parse("f.yaml", []byte("tests:\n  - {name: t, rule: R, source: app, steps: null}\n"))
	if err == nil || !strings.Contains(err.Error(), "a test of the source app needs events that were recorded") || !strings.Contains(err.Error(), "(add events)") {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(string(testfile.Schema()), `"app"`) {
		t.Error("the schema does not have the source")
	}
}
