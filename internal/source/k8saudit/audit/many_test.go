// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/source/k8saudit/audit"
)

// manyContainers is a request for a pod with so many containers, and an engine
// whose rule looks at all of them and prints them.
func manyContainers(t testing.TB, n int) (*engine.Engine, string) {
	t.Helper()
	const rule = `
- rule: r
  desc: d
  source: k8s_audit
  priority: NOTICE
  output: images=%ka.req.pod.containers.image repositories=%ka.req.pod.containers.image.repository privileged=%ka.req.pod.containers.privileged
  condition: >
    ka.verb = create and not ka.req.pod.containers.image.repository in (other, another)
    and not ka.req.pod.containers.privileged intersects (true) and ka.req.pod.containers.image exists
`
	var pod strings.Builder
	fmt.Fprintf(&pod, `{"kind":"Event","auditID":"1",%s,"verb":"create","objectRef":{"resource":"pods","name":"p"},"requestObject":{"kind":"Pod","spec":{"containers":[`, stamp)
	for i := range n {
		if i > 0 {
			pod.WriteByte(',')
		}
		fmt.Fprintf(&pod, `{"name":"c%d","image":"registry.example.com/team/image-%d:1.2"}`, i, i)
	}
	pod.WriteString("]}}}")
	return newEngine(t, engine.Options{}, rules.File{Name: "r.yaml", Data: []byte(rule)}), pod.String()
}

func judgePod(t testing.TB, e *engine.Engine, pod string) {
	t.Helper()
	events, err := audit.Decode(strings.NewReader(pod))
	if err != nil {
		t.Fatal(err)
	}
	evaluator := e.NewEvaluator()
	if err := evaluator.Explain("r"); err != nil {
		t.Fatal(err)
	}
	alerts := 0
	evaluator.Evaluate(audit.SourceName, events[0], func(*alert.Alert) { alerts++ })
	if alerts != 1 {
		t.Fatalf("%d alerts", alerts)
	}
}

// What a pod of ten times as many containers costs is about ten times as much.
func TestManyContainers(t *testing.T) {
	cost := func(n int) float64 {
		e, pod := manyContainers(t, n)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		judgePod(t, e, pod)
		runtime.ReadMemStats(&after)
		return float64(after.TotalAlloc - before.TotalAlloc)
	}
	few, many := cost(500), cost(5000)
	if times := many / few; times > 20 {
		t.Errorf("ten times as many containers cost %.0f times the memory, %.0f MB", times, many/1e6)
	}
}

func BenchmarkManyContainers(b *testing.B) {
	e, pod := manyContainers(b, 100_000)
	b.ResetTimer()
	for b.Loop() {
		judgePod(b, e, pod)
	}
}
