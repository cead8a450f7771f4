// SPDX-License-Identifier: Apache-2.0

package k8saudit_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/falcotest/go-falcotest/internal/source/k8saudit/audit"
)

// recording is the id of the actions whose events are recorded.
const recording = "recorded"

// recordedFile is where the audit events of an action's run against a real API
// server are, one a line. Run the tests with -update to record them anew.
func recordedFile(action string) string {
	return filepath.Join("testdata", "recorded", strings.TrimPrefix(action, "k8saudit.")+".jsonl")
}

// readEvents decodes events.
func readEvents(t testing.TB, b []byte) []*audit.Event {
	t.Helper()
	events, err := audit.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// Recorded events fire their rules.
func TestRecorded(t *testing.T) { eachSet(t, recordedFires) }

func recordedFires(t *testing.T, files []string) {
	e := load(t, files)
	for _, action := range names() {
		t.Run(action, func(t *testing.T) {
			b, err := os.ReadFile(recordedFile(action))
			if err != nil {
				t.Fatal(err)
			}
			rule := ruleOf(t, e, action)
			alerts := judge(e, rule, readEvents(t, b))
			if len(alerts) == 0 {
				t.Fatalf("rule %q does not fire", rule)
			}
			if !strings.Contains(alerts[0].Output, recording) {
				t.Errorf("the alert does not show which run it is of: %s", alerts[0].Output)
			}
		})
	}
}

// A nearMiss is a change to recorded events after which their rule must not
// fire any more.
type nearMiss struct {
	Action string         `json:"action"`
	Why    string         `json:"why"`
	Set    map[string]any `json:"set"`    // values by JSON pointer, of events that have its parent
	Remove []string       `json:"remove"` // JSON pointers
}

// Each rule has a near miss: events that differ from those that fire it by
// little.
func TestNearMisses(t *testing.T) { eachSet(t, nearMisses) }

func nearMisses(t *testing.T, files []string) {
	e := load(t, files)
	b, err := os.ReadFile("testdata/near_misses.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var misses []nearMiss
	if err := yaml.UnmarshalWithOptions(b, &misses, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	has := make(map[string]bool)
	for _, miss := range misses {
		action := "k8saudit." + miss.Action
		has[action] = true
		t.Run(miss.Action+"/"+miss.Why, func(t *testing.T) {
			recorded, err := os.ReadFile(recordedFile(action))
			if err != nil {
				t.Fatal(err)
			}
			changed := 0
			var near bytes.Buffer
			for line := range bytes.Lines(recorded) {
				var event any
				if err := json.Unmarshal(line, &event); err != nil {
					t.Fatal(err)
				}
				for pointer, value := range miss.Set {
					changed += change(event, pointer, value, true)
				}
				for _, pointer := range miss.Remove {
					changed += change(event, pointer, nil, false)
				}
				line, err := json.Marshal(event)
				if err != nil {
					t.Fatal(err)
				}
				near.Write(append(line, '\n'))
			}
			if changed == 0 {
				t.Fatal("nothing was changed")
			}
			rule := ruleOf(t, e, action)
			for _, a := range judge(e, rule, readEvents(t, near.Bytes())) {
				t.Errorf("rule %q fires: %s", rule, a.Output)
			}
		})
	}
	for _, action := range names() {
		if !has[action] {
			t.Errorf("%s has no near miss", action)
		}
	}
}

// change sets or removes what a JSON pointer leads to, and returns how many
// values that were.
func change(v any, pointer string, value any, set bool) int {
	parts := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i, part := range parts {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		switch parent := v.(type) {
		case map[string]any:
			if i < len(parts)-1 {
				v = parent[part]
				continue
			}
			_, had := parent[part]
			if set {
				parent[part] = value
				return 1
			}
			delete(parent, part)
			if had {
				return 1
			}
		case []any:
			var n int
			if _, err := fmt.Sscan(part, &n); err != nil || n >= len(parent) {
				return 0
			}
			if i < len(parts)-1 {
				v = parent[n]
				continue
			}
			if set {
				parent[n] = value
				return 1
			}
		}
		return 0
	}
	return 0
}

// scrub makes a recording that is the same each time, and shorter: it leaves
// out what no rule looks at, and what differs from run to run.
func scrub(t testing.TB, of []*audit.Event) []byte {
	t.Helper()
	var b bytes.Buffer
	for i, e := range of {
		var event map[string]any
		if err := json.Unmarshal([]byte(e.JSON()), &event); err != nil {
			t.Fatal(err)
		}
		event["kind"], event["apiVersion"] = "Event", "audit.k8s.io/v1"
		event["auditID"] = fmt.Sprintf("00000000-0000-0000-0000-%012d", i+1)
		event["requestReceivedTimestamp"] = fmt.Sprintf("2026-01-01T00:00:00.%06dZ", 2*i)
		event["stageTimestamp"] = fmt.Sprintf("2026-01-01T00:00:00.%06dZ", 2*i+1)
		scrubValue(event)
		line, err := json.Marshal(event)
		if err != nil {
			t.Fatal(err)
		}
		line = uid.ReplaceAll(line, []byte("00000000-0000-0000-0000-00000000000u"))
		b.Write(append(resourceVersion.ReplaceAll(line, []byte("resourceVersion=1")), '\n'))
	}
	return b.Bytes()
}

var (
	uid             = regexp.MustCompile(`\b[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b`)
	resourceVersion = regexp.MustCompile(`resourceVersion=\d+`)
)

func scrubValue(v any) {
	switch v := v.(type) {
	case map[string]any:
		delete(v, "managedFields")
		delete(v, "authentication.kubernetes.io/credential-id")
		for key, value := range v {
			switch key {
			case "creationTimestamp", "deletionTimestamp", "lastUpdateTime", "lastTransitionTime", "time":
				if value != nil {
					v[key] = "2026-01-01T00:00:00Z"
				}
			case "resourceVersion":
				v[key] = "1"
			case "request", "certificate":
				v[key] = "c2NydWJiZWQ="
			case "clusterIP", "nodePort", "clusterIPs":
				delete(v, key)
			default:
				scrubValue(value)
			}
		}
		if extra, ok := v["extra"].(map[string]any); ok && len(extra) == 0 {
			delete(v, "extra")
		}
	case []any:
		for _, el := range v {
			scrubValue(el)
		}
	}
}
