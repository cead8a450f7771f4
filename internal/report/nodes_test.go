// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// onNodes is a run on so many nodes: on the second, of another kernel, a rule is missed,
// and the third is deaf.
func onNodes(count int) *Report {
	r := &Report{Package: "example.org/rules", Test: "TestRules", Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Elapsed: 6 * time.Second,
		Judge: "each node's own: Falco 0.38.2, Falco 0.43.1", Rules: []string{"rules/a.yaml"}}
	var nodes []Node
	planned := map[string][]string{}
	for i := range count {
		n := Node{Name: fmt.Sprintf("worker-%d", i+1), Kernel: "6.1.0", Architecture: "amd64", OSImage: "Debian 12", Runtime: "containerd://1.7.20", Kubelet: "v1.37.2",
			Labels: map[string]string{"kubernetes.io/hostname": fmt.Sprintf("worker-%d", i+1), "pool": "a", "rack": fmt.Sprint(i)}, Judge: "Falco 0.43.1", Falco: "0.43.1"}
		row := Row{Node: n.Name, Rule: "Write below etc", Action: "syscall.WriteBelowEtc", Outcome: "detected", Priority: "Error", Correlation: "environment", Latency: 3 * time.Millisecond, File: "rules/a.yaml", Line: 3}
		other := Row{Node: n.Name, Rule: "Run | shell", Action: "syscall.RunShell", Outcome: "detected", Priority: "Notice", Correlation: "environment", Latency: 5 * time.Millisecond, File: "rules/a.yaml", Line: 7}
		near := Row{Node: n.Name, Rule: "Run | shell", Action: "nearmiss.RunShell", Outcome: "silent", File: "rules/a.yaml", Line: 7}
		switch i {
		case 1:
			n.Kernel, n.Falco, n.Judge, n.Labels["pool"] = "5.10.0", "0.38.2", "Falco 0.38.2", "b"
			other.Outcome, other.Message, other.Correlation, other.Latency = "missed", "missed: the rule did not fire\n  more", "", 0
		case 2:
			n.Falco, n.Judge, n.Problem = "", "", "the Falco does not answer: no alert came\n  next      see that it runs"
			planned[n.Name] = []string{"Write below etc", "Run | shell", "Run | shell"}
			nodes = append(nodes, n)
			continue
		}
		nodes = append(nodes, n)
		r.Rows = append(r.Rows, row, other, near)
	}
	r.AddNodes(nodes, planned)
	return r
}

func TestNodesGolden(t *testing.T) {
	r, many := onNodes(3), onNodes(12)
	d := NewDocument(r)
	for name, write := range map[string]func(io.Writer) error{
		"nodes.txt": r.Text, "nodes_summary.txt": r.Summary, "nodes_annotations.txt": r.Annotations, "nodes.md": d.Markdown, "nodes.json": d.JSON,
		"nodes.xml": d.JUnit, "nodes.sarif": d.SARIF, "nodes.html": d.HTML, "nodes_many.txt": many.Text, "nodes_many.md": many.Markdown,
	} {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			if err := write(&got); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(file, got.Bytes(), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
		})
	}
}

// What only tells nodes apart is nothing in which they differ.
func TestDiffers(t *testing.T) {
	r := onNodes(12)
	want := []string{"kernel 5.10.0 (elsewhere 6.1.0)", "Falco 0.38.2 (elsewhere 0.43.1)", "label pool: b (elsewhere a)"}
	for _, s := range r.Spread {
		var expected []string
		if s.Rule == "Run | shell" {
			expected = want
		}
		if diff := cmp.Diff(expected, s.Differs); diff != "" {
			t.Errorf("%s: %s", s.Rule, diff)
		}
	}
}
