// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"io"
	"strings"
	"testing"

	"gotest.tools/v3/golden"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"
)

const testImage = "registry.example/rules@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// runs are those that the tests make manifests of.
var runs = map[string]Options{
	"builtin": {Run: "k3v9", Image: testImage},
	"grpc":    {Run: "k3v9", Image: testImage, Falco: "unix:///run/falco/falco.sock", PullSecrets: []string{"registry"}},
	"http":    {Run: "k3v9", Image: testImage, Falco: "http://0.0.0.0:2801/secret", Args: []string{"-test.run=^TestRules$"}, Env: []string{"FALCOTEST_ENV=A=$(B)"}},
	"privileged": {Run: "k3v9", Image: testImage, Falco: "http://0.0.0.0:2801/secret", Profile: Privileged,
		Namespace: "nightly", CreateNamespace: true},
}

// What is printed is for people to review.
func TestYAML(t *testing.T) {
	for name, o := range runs {
		t.Run(name, func(t *testing.T) {
			if err := o.Check(); err != nil {
				t.Fatal(err)
			}
			var drivers []rbacv1.Subject
			if o.CreateNamespace {
				drivers = []rbacv1.Subject{{Kind: rbacv1.GroupKind, APIGroup: rbacv1.GroupName, Name: "detection"}}
			}
			for what, write := range map[string]func(io.Writer) error{
				"rights": func(w io.Writer) error { return Rights(w, o, drivers...) },
				"run":    func(w io.Writer) error { return Run(w, o, "worker-7") },
				"values": func(w io.Writer) error { return Values(w, o, "- rule: Sentinel\n  priority: DEBUG\n") },
			} {
				var b strings.Builder
				if err := write(&b); err != nil {
					t.Fatal(err)
				}
				golden.Assert(t, b.String(), name+"_"+what+".yaml")
				for i, text := range strings.Split(b.String(), "---\n") {
					var document map[string]any
					if err := yaml.UnmarshalStrict([]byte(text), &document); err != nil {
						t.Errorf("document %d of %s: %v", i, what, err)
					}
				}
			}
		})
	}
}

func TestRightsOfNobody(t *testing.T) {
	err := Rights(io.Discard, Options{CreateNamespace: true})
	if err == nil || !strings.Contains(err.Error(), "say who drives it") {
		t.Errorf("got %v", err)
	}
}

func TestCheck(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"namespace":  {func(o *Options) { o.Namespace = "Nightly" }, `the namespace "Nightly": a lowercase RFC 1123 label`},
		"no run":     {func(o *Options) { o.Run = "" }, `the run's id ""`},
		"long run":   {func(o *Options) { o.Run = strings.Repeat("x", 33) }, "more than 32 letters"},
		"profile":    {func(o *Options) { o.Profile = "restricted" }, `the profile "restricted": want baseline or privileged`},
		"no image":   {func(o *Options) { o.Image = "" }, "go tool falcotest image makes one"},
		"deadline":   {func(o *Options) { o.Deadline = 1 }, "want a second at least"},
		"keep":       {func(o *Options) { o.Keep = -1 }, "want a second at least"},
		"variable":   {func(o *Options) { o.Env = []string{"A"} }, `the variable "A": want NAME=value`},
		"judge":      {func(o *Options) { o.Falco = "exec:///usr/bin/falco" }, "as it is in a pod on the node"},
		"no port":    {func(o *Options) { o.Falco = "http://0.0.0.0/secret" }, "want a port that the pods listen on"},
		"an address": {func(o *Options) { o.Falco = "http://127.0.0.1:2801/secret" }, "want http://0.0.0.0:2801/secret"},
		"a socket":   {func(o *Options) { o.Falco = "unix:///falco.sock" }, "needs a folder of its own"},
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{Run: "k3v9", Image: testImage}
			test.change(&o)
			if err := o.Check(); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// Nodes may be called what no label's value can be.
func TestNamesOfNodes(t *testing.T) {
	o := Options{Run: strings.Repeat("r", maxRun), Image: testImage}
	long := strings.Repeat("long.", 48) + "example"
	seen := map[string]bool{}
	for _, node := range []string{"worker-7", "127.0.0.2", long, long + "s"} {
		job := Job(o, node)
		if len(validation.IsDNS1123Label(job.Name)) > 0 || len(validation.IsValidLabelValue(job.Labels[LabelNode])) > 0 {
			t.Errorf("%s: the name %s, the label %s", node, job.Name, job.Labels[LabelNode])
		}
		if job.Annotations[NodeAnnotation] != node {
			t.Errorf("%s is annotated as %s", node, job.Annotations[NodeAnnotation])
		}
		if seen[job.Name] || seen[job.Labels[LabelNode]] {
			t.Errorf("%s is called as another", node)
		}
		seen[job.Name], seen[job.Labels[LabelNode]] = true, true
	}
}

// What Pod Security says of pods comes as a sentence with what to do next.
func TestRefused(t *testing.T) {
	var b strings.Builder
	for _, name := range []string{"builtin", "grpc", "privileged"} {
		o := runs[name]
		said := map[string]string{
			"builtin":    `Error creating: pods "falcotest-k3v9-8aca0dd300d2-x7k2p" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true (pod or container "falcotest" must set securityContext.runAsNonRoot=true)`,
			"grpc":       `would violate PodSecurity "baseline:v1.37": hostPath volumes (volume "falco")`,
			"privileged": `pods "x" is forbidden: violates PodSecurity "baseline:latest": privileged (container "falcotest" must not set securityContext.privileged=true)`,
		}[name]
		sentence, ok := Refused(o, said)
		if !ok {
			t.Errorf("%s: %q is taken for something else", name, said)
		}
		b.WriteString(name + ": " + sentence + "\n\n")
	}
	golden.Assert(t, b.String(), "refused.txt")
	if sentence, ok := Refused(runs["http"], `exceeded quota: pods, requested: pods=1`); ok {
		t.Errorf("a quota is taken for Pod Security: %s", sentence)
	}
}
